// SPDX-License-Identifier: Apache-2.0
#include "agent/metrics/metrics_command.h"

#include <prometheus/text_serializer.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <sstream>

#include "agent/ctl/corral_yaml.h"
#include "agent/ctl/interrupts.h"
#include "agent/metrics/audit_metrics.h"
#include "agent/metrics/class_metrics.h"
#include "agent/metrics/http_server.h"
#include "agent/views/trust.h"
#include "kernel/atomic_file.h"
#include "kernel/audit/auditor.h"
#include "kernel/bpf/bpf_control_kernel.h"

namespace corral::metrics {

std::string Text(const Families& families) {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return out.str();
}

}  // namespace corral::metrics

namespace corral::ctl {
namespace {

struct Options {
  std::string output;
  std::string listen;
  std::string config = kCorralYaml;
  std::string pin_dir = Auditor::kPinDir;
};

metrics::Families Collect(const Options& options, const ControlKernel* kernel) {
  // Rules of trust only tell what was wanted; that the file is wrong is `config check`'s to say.
  const absl::StatusOr<Config> config = LoadCorralYaml(options.config);
  metrics::Families families =
      metrics::ClassFamilies(kernel, config.ok() ? TrustRulesOf(*config) : TrustRules());
  if (absl::StatusOr<Auditor> auditor = Auditor::OpenPinned(options.pin_dir); auditor.ok()) {
    if (const absl::StatusOr<AuditReport> report = auditor->Read(); report.ok())
      metrics::AddAudit(*report, families);
  }
  return families;
}

// Whatever class there is at each scrape.
metrics::Families CollectAnew(const Options& options) {
  const absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = BpfControlKernel::Open();
  return Collect(options, kernel.ok() ? kernel->get() : nullptr);
}

int ServeMetrics(const Options& options) {
  HoldInterrupts();  // also in the server's threads
  const auto server =
      metrics::HttpServer::Listen(options.listen, [&options] { return CollectAnew(options); });
  if (!server.ok()) return Fail(server.status());
  std::cerr << "corralctl: metrics on port " << (*server)->port() << std::endl;
  AwaitInterrupt();
  return kOk;
}

int RunMetrics(const Options& options) {
  const absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = BpfControlKernel::Open();
  if (absl::IsPermissionDenied(kernel.status())) return Fail(kernel.status());
  if (!options.listen.empty()) return ServeMetrics(options);
  const std::string text = metrics::Text(Collect(options, kernel.ok() ? kernel->get() : nullptr));
  if (options.output.empty()) {
    std::cout << text << std::flush;
    return kOk;
  }
  const absl::Status status = ReplaceFile(options.output, text);
  return status.ok() ? kOk : Fail(status);
}

}  // namespace

void AddMetricsCommand(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand(
      "metrics", "Figures for a monitoring system, in the text format of Prometheus");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("--output", options->output,
                   "Replace this file in one step, as node_exporter wants it, instead of stdout")
      ->type_name("FILE");
  command
      ->add_option("--listen", options->listen,
                   "Answer scrapes at http://ADDRESS/metrics until a signal comes")
      ->type_name("ADDRESS")
      ->excludes("--output");
  command->add_option("--config", options->config, "The corral.yaml with the rules of trust")
      ->type_name("FILE")
      ->capture_default_str();
  command
      ->add_option("--pin-dir", options->pin_dir,
                   "Where the background measurement of \"corralctl audit\" is kept")
      ->type_name("DIR")
      ->capture_default_str();
  command->footer(
      "Example: corralctl metrics \\\n"
      "         --output /var/lib/node_exporter/textfile/corral.prom\n");
  command->callback([&action, options] { action = [options] { return RunMetrics(*options); }; });
}

}  // namespace corral::ctl
