// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/audit_command.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "agent/ctl/audit_json.h"
#include "agent/ctl/audit_text.h"
#include "agent/ctl/interrupts.h"
#include "agent/ctl/statement_command.h"
#include "kernel/audit/auditor.h"

namespace corral::ctl {
namespace {

struct Options {
  std::string duration = "10s";
  std::vector<pid_t> pids;
  std::vector<std::string> exec_names;
  std::string pin_dir = Auditor::kPinDir;
  bool json = false;
  std::string fail_on;  // "", "any" or "enforced"
};

AuditorOptions ToAuditorOptions(const Options& options) {
  AuditorOptions out;
  out.pids = options.pids;
  out.exec_names.insert(out.exec_names.end(), options.exec_names.begin(), options.exec_names.end());
  return out;
}

int Judge(const AuditReport& report, const std::string& fail_on) {
  if (fail_on.empty()) return kOk;
  const AuditSpan& breach =
      report.total[fail_on == "enforced" ? AUDIT_VCPU_ENFORCED : AUDIT_VCPU_VCPU];
  if (breach.count > 0) return kBreach;
  return report.gaps.Any() ? kIncomplete : kOk;
}

int Show(const absl::StatusOr<AuditReport>& report, const Options& options) {
  if (!report.ok()) return Fail(report.status());
  std::cout << (options.json ? AuditJson(*report).dump(2) + "\n" : AuditText(*report))
            << std::flush;
  return Judge(*report, options.fail_on);
}

int Measure(const Options& options) {
  absl::Duration duration;
  if (!absl::ParseDuration(options.duration, &duration) || duration <= absl::ZeroDuration() ||
      duration > absl::Hours(24 * 365)) {
    return Fail(absl::InvalidArgumentError(
        absl::StrCat("\"", options.duration, "\" is no duration; write 500ms, 10s or 1m30s")));
  }
  absl::StatusOr<Auditor> auditor = Auditor::Load(ToAuditorOptions(options));
  if (!auditor.ok()) return Fail(auditor.status());
  // The operator who is tired of waiting still gets the figures so far.
  HoldInterrupts();
  InterruptedWithin(absl::ToChronoNanoseconds(duration));
  return Show(auditor->Read(), options);
}

int Start(const Options& options) {
  absl::StatusOr<Auditor> auditor = Auditor::Load(ToAuditorOptions(options));
  if (!auditor.ok()) return Fail(auditor.status());
  const absl::Status status = auditor->Pin(options.pin_dir);
  return status.ok() ? kOk : Fail(status);
}

int Read(const Options& options) {
  absl::StatusOr<Auditor> auditor = Auditor::OpenPinned(options.pin_dir);
  return auditor.ok() ? Show(auditor->Read(), options) : Fail(auditor.status());
}

int Reset(const Options& options) {
  absl::StatusOr<Auditor> auditor = Auditor::OpenPinned(options.pin_dir);
  if (!auditor.ok()) return Fail(auditor.status());
  const absl::Status status = auditor->Reset();
  return status.ok() ? kOk : Fail(status);
}

int Stop(const Options& options) {
  const absl::Status status = Auditor::Unpin(options.pin_dir);
  return status.ok() ? kOk : Fail(status);
}

void AddSelection(CLI::App& command, Options& options) {
  command.add_option("--pid", options.pids, "Treat this process as a VM, all its threads as vCPUs")
      ->check(CLI::PositiveNumber);
  command.add_option("--exec-name", options.exec_names,
                     "Also treat executables whose file name begins so as VMs");
}

void AddOutput(CLI::App& command, Options& options) {
  command.add_flag("--json", options.json, "Print JSON instead of a table");
  command
      .add_option("--fail-on-breach", options.fail_on,
                  "Exit with 3 if vCPUs of two VMs shared a core (any), or did so although "
                  "enrolled (enforced)")
      ->expected(0, 1)
      ->default_str("any")
      ->check(CLI::IsMember({"any", "enforced"}));
}

}  // namespace

void AddAuditCommand(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* audit =
      app.add_subcommand("audit", "Measure for how long siblings of a core ran different VMs");
  audit->require_subcommand(0, 1);
  audit->add_option("--duration", options->duration, "How long to measure: 500ms, 10s, 1m30s")
      ->capture_default_str();
  AddSelection(*audit, *options);
  AddOutput(*audit, *options);
  audit->footer("Example: corralctl audit --duration 1m --fail-on-breach\n");

  const auto add = [&](const char* name, const char* help, int (*run)(const Options&)) {
    CLI::App* command = audit->add_subcommand(name, help);
    command
        ->add_option("--pin-dir", options->pin_dir,
                     "Where on a BPF file system the measurement is kept")
        ->type_name("DIR")
        ->capture_default_str();
    command->footer(absl::StrCat("Example: corralctl audit ", name, "\n"));
    command->callback(
        [options, &action, run] { action = [options, run] { return run(*options); }; });
    return command;
  };
  AddSelection(*add("start", "Begin a measurement in the background", Start), *options);
  AddOutput(*add("read", "Print what the background measurement has found so far", Read), *options);
  add("reset", "Begin the background measurement afresh", Reset);
  add("stop", "End the background measurement", Stop);

  AddStatementCommand(*audit, action);

  audit->callback([options, &action, audit] {
    if (audit->get_subcommands().empty()) action = [options] { return Measure(*options); };
  });
}

}  // namespace corral::ctl
