// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/mode_command.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "agent/check/host_check.h"
#include "agent/check/host_findings.h"
#include "agent/ctl/check_output.h"
#include "agent/ctl/corral_yaml.h"
#include "agent/daemon/control_socket.h"
#include "kernel/bpf/bpf_control_kernel.h"

namespace corral::ctl {
namespace {

struct Options {
  std::string config = kCorralYaml;
  std::string runtime_dir = kRuntimeDir;
  bool json = false;
};

// But for the configuration, which is judged as it is going to be.
Findings CheckHost(const std::string& config) {
  Findings findings = CheckWholeHost(HostTree(), config).findings;
  std::erase_if(findings, [](const Finding& finding) { return finding.id == kConfigFinding; });
  return findings;
}

int Run(const Options& options, Mode wanted) {
  const ModeSwitch with = {.config = options.config,
                           .runtime_dir = options.runtime_dir,
                           .host = ReadHostCpus(HostTree()),
                           .check_host = [&] { return CheckHost(options.config); }};
  const ModeReport report = SwitchMode(with, wanted);
  const std::vector<std::string> next =
      report.status.ok() ? NextSteps(report, wanted, BpfControlKernel::Open().ok())
                         : std::vector<std::string>();
  if (options.json) {
    Print(ModeJson(report, wanted, next));
  } else {
    std::cout << ModeText(report, wanted, next);
  }
  // The command line was right.
  if (report.status.ok()) return kOk;
  return Fail(absl::FailedPreconditionError(report.status.message()));
}

void Add(CLI::App& app, Action& action, const char* name, const char* help, Mode wanted) {
  CLI::App* const command = app.add_subcommand(name, help);
  const auto options = std::make_shared<Options>();
  command->add_option("--config", options->config, "The configuration; its drop-ins lie beside it")
      ->type_name("FILE")
      ->capture_default_str();
  command->add_option("--runtime-dir", options->runtime_dir, "corrald's, with its sockets")
      ->type_name("DIR")
      ->capture_default_str();
  command->add_flag("--json", options->json, "Machine-readable");
  command->footer(absl::StrCat("Example: corralctl ", name, "\n"));
  command->callback(
      [&action, options, wanted] { action = [options, wanted] { return Run(*options, wanted); }; });
}

}  // namespace

std::vector<std::string> NextSteps(const ModeReport& report, Mode wanted, bool class_loaded) {
  std::vector<std::string> next;
  if (wanted == Mode::kEnforce) {
    if (!report.daemon)
      next.emplace_back("start the class and corrald: systemctl enable --now corral-class corrald");
    return next;
  }
  if (!report.daemon) next.emplace_back("corrald does not run: systemctl enable --now corrald");
  if (class_loaded) {
    next.emplace_back(
        "VMs that are in the class stay isolated, and others are not taken in; to give all back: "
        "systemctl disable --now corral-class");
  }
  return next;
}

nlohmann::ordered_json ModeJson(const ModeReport& report, Mode wanted,
                                const std::vector<std::string>& next) {
  nlohmann::ordered_json json = {{"mode", NameOf(wanted)},
                                 {"before", NameOf(report.before)},
                                 {"file", report.file},
                                 {"written", report.written},
                                 {"failures", FindingsJson(report.failures)},
                                 {"daemon", nullptr},
                                 {"next", next},
                                 {"error", nullptr}};
  if (report.daemon) json["daemon"] = NameOf(*report.daemon);
  if (!report.status.ok()) json["error"] = std::string(report.status.message());
  return json;
}

std::string ModeText(const ModeReport& report, Mode wanted, const std::vector<std::string>& next) {
  std::string text;
  for (const Finding& failure : report.failures) {
    absl::StrAppend(&text, "fail  ", failure.id, ": ", failure.fact,
                    failure.remedy.empty() ? "" : "\n      -> ", failure.remedy, "\n");
  }
  if (!report.status.ok()) return text;
  absl::StrAppend(
      &text, "mode: ", NameOf(wanted),
      report.written ? absl::StrCat(", in ", report.file, "\n") : ", as it was in the files\n");
  if (report.daemon) {
    absl::StrAppend(&text, "corrald ", *report.daemon == Mode::kEnforce ? "enforces" : "observes",
                    report.daemon == report.daemon_before ? ", as before\n" : " now\n");
  }
  for (const std::string& step : next) absl::StrAppend(&text, "next: ", step, "\n");
  return text;
}

void AddEnableCommand(CLI::App& app, Action& action) {
  Add(app, action, "enable", "Let corrald enforce: no core runs two VMs at once", Mode::kEnforce);
}

void AddDisableCommand(CLI::App& app, Action& action) {
  Add(app, action, "disable", "Let corrald only observe; VMs run on", Mode::kObserve);
}

}  // namespace corral::ctl
