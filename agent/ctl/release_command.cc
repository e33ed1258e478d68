// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/release_command.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/class/class_successor.h"
#include "agent/daemon/control_socket.h"
#include "kernel/bpf/class_files.h"
#include "kernel/bpf/sched_ext_state.h"
#include "kernel/bpf/threads_by_policy.h"
#include "vmm-integration/held_vms.h"

namespace corral::ctl {
namespace {

struct Options {
  bool all = false;
  bool dry_run = false;
  bool json = false;
};

int RunRelease(const Options& options) {
  if (!options.all) {
    return Fail(absl::InvalidArgumentError(
        "release ends isolation for every VM on this host and takes the class out; say so with "
        "\"corralctl release --all\", or look first with \"corralctl release --all --dry-run\""));
  }
  std::vector<pid_t> held;
  for (const char* const pin : {kHeldVmsPin, kFormerHeldVmsPin}) {
    if (options.dry_run) break;
    for (const pid_t process : HeldVms::ReleaseLeftovers(pin)) held.push_back(process);
  }
  ReleaseReport report = ReleaseClass({.scope = ReleaseScope::kAll, .dry_run = options.dry_run});
  if (!options.dry_run) {
    for (const pid_t process : AbandonHandover(kRuntimeDir)) held.push_back(process);
  }
  for (const pid_t process : held) {
    report.notes.push_back(
        absl::StrCat("process ", process, " was held by a corrald that has died, and goes on"));
  }
  if (options.json) {
    std::cout << ReleaseJson(report, options.dry_run).dump(2) << "\n";
  } else if (!absl::IsPermissionDenied(report.status)) {
    std::cout << ReleaseText(report, options.dry_run);
  }
  return report.status.ok() ? kOk : Fail(report.status);
}

}  // namespace

nlohmann::ordered_json ReleaseJson(const ReleaseReport& report, bool dry_run) {
  nlohmann::ordered_json json = {{"dry_run", dry_run},
                                 {"scheduler", report.scheduler},
                                 {"scheduler_after", report.scheduler_after},
                                 {"threads", nlohmann::ordered_json::array()},
                                 {"pins", report.pins},
                                 {"notes", report.notes},
                                 {"error", nullptr}};
  for (const ReleasedThread& thread : report.threads) {
    json["threads"].push_back(
        {{"tid", thread.tid}, {"policy", PolicyName(thread.policy)}, {"known", thread.known}});
  }
  if (!report.status.ok()) json["error"] = std::string(report.status.message());
  return json;
}

std::string ReleaseText(const ReleaseReport& report, bool dry_run) {
  std::string text;
  const char* const would = dry_run ? "would be " : "";
  for (const ReleasedThread& thread : report.threads) {
    absl::StrAppend(&text, "thread ", thread.tid, " ", would, "given back to ",
                    PolicyName(thread.policy), thread.known ? "" : " (its former one is not known)",
                    "\n");
  }
  if (report.threads.empty()) absl::StrAppend(&text, "no thread is in SCHED_EXT\n");
  if (report.scheduler == kClassName) {
    if (dry_run) absl::StrAppend(&text, "the class would be taken out of the kernel\n");
    if (!dry_run && report.scheduler_after != kClassName)
      absl::StrAppend(&text, "the class is out of the kernel\n");
  } else {
    absl::StrAppend(&text, "the class is not in charge\n");
  }
  absl::StrAppend(&text, report.pins.size(), " entries of ", kClassDir, " ", would, "removed\n");
  for (const std::string& note : report.notes) absl::StrAppend(&text, "note: ", note, "\n");
  return text;
}

void AddReleaseCommand(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand(
      "release", "Give every thread back and take the class out, whatever else is dead");
  const auto options = std::make_shared<Options>();
  command->add_flag("--all", options->all, "Every thread, and the class: nothing less is possible");
  command->add_flag("--dry-run", options->dry_run, "Say what would be done, change nothing");
  command->add_flag("--json", options->json, "Machine-readable");
  command->footer("Example: corralctl release --all --dry-run\n");
  command->callback([&action, options] { action = [options] { return RunRelease(*options); }; });
}

}  // namespace corral::ctl
