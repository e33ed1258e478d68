// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/mode_switch.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/ctl/corral_yaml.h"
#include "agent/daemon/control_socket.h"
#include "config/drop_ins.h"
#include "kernel/atomic_file.h"

namespace corral::ctl {
namespace {

constexpr std::chrono::milliseconds kLook{50};

std::string DropInText(Mode mode) {
  return absl::StrCat(
      "# Written by \"corralctl enable\" and \"corralctl disable\", which replace it.\n"
      "version: 1\n"
      "mode: ",
      NameOf(mode), "\n");
}

// Our drop-in among the texts, put in its place by its name if it is not there.
std::vector<ConfigText>::iterator FindOrInsert(std::vector<ConfigText>& texts,
                                               const std::string& file, bool& found) {
  const auto at = std::find_if(texts.begin() + 1, texts.end(),
                               [&](const ConfigText& text) { return text.file >= file; });
  found = at != texts.end() && at->file == file;
  return found ? at : texts.insert(at, {file, ""});
}

std::string SocketOf(const std::string& runtime_dir, Mode mode) {
  return absl::StrCat(runtime_dir, "/",
                      mode == Mode::kEnforce ? kEnforcerSocketName : kObserverSocketName);
}

// Something is wrong: what was written is taken back.
void GiveUp(ModeReport& report, const FileChange& change, absl::Status why) {
  report.status = std::move(why);
  if (!report.written) return;
  report.written = false;
  if (const absl::Status undone = Undo(change); !undone.ok()) {
    report.status =
        absl::InternalError(absl::StrCat(report.status.message(), "; and ", undone.message()));
  }
}

}  // namespace

absl::StatusOr<ModePlan> PlanMode(const std::string& config, Mode wanted, const HostCpus& host) {
  absl::StatusOr<std::vector<ConfigText>> texts = ReadConfigTexts(config);
  if (!texts.ok()) return texts.status();
  ModePlan plan;
  // What was in force matters little if it was not right.
  if (const absl::StatusOr<Config> now = ParseConfig(*texts, AllPolicies()); now.ok())
    plan.before = now->mode;
  plan.change.file = absl::StrCat(DropInFolder(config), "/", kModeDropInName);
  plan.change.after = DropInText(wanted);
  bool found = false;
  const auto ours = FindOrInsert(*texts, plan.change.file, found);
  if (found) plan.change.before = ours->text;
  ours->text = plan.change.after;

  const ConfigCheck check = CheckConfigTexts(*texts, AllPolicies(), host);
  if (!check.errors.empty()) {
    return absl::InvalidArgumentError(absl::StrJoin(
        check.errors, "\n",
        [](std::string* out, const ConfigError& error) { absl::StrAppend(out, error.Text()); }));
  }
  if (check.config.mode == wanted) return plan;
  const FilePosition& where = check.config.mode_position;
  return absl::FailedPreconditionError(absl::StrCat(
      check.config.files[where.file], ":", where.line, " says mode: ", NameOf(check.config.mode),
      " and is read after ", kModeDropInName, "; take it out there"));
}

absl::Status Write(const FileChange& change) { return ReplaceFile(change.file, change.after); }

absl::Status Undo(const FileChange& change) {
  return change.before ? ReplaceFile(change.file, *change.before) : RemoveFile(change.file);
}

std::optional<Mode> ModeOfDaemon(const std::string& runtime_dir) {
  for (const Mode mode : {Mode::kEnforce, Mode::kObserve}) {
    const absl::StatusOr<nlohmann::json> answer =
        CallDaemon(SocketOf(runtime_dir, mode), {{"call", "mode"}});
    if (answer.ok() && answer->value("mode", "") == NameOf(mode)) return mode;
  }
  return std::nullopt;
}

absl::Status ReloadInto(const std::string& runtime_dir, Mode wanted, Duration patience) {
  const std::optional<Mode> now = ModeOfDaemon(runtime_dir);
  if (!now) return absl::UnavailableError("corrald does not answer; start corrald.service");
  const absl::StatusOr<nlohmann::json> answer =
      CallDaemon(SocketOf(runtime_dir, *now), {{"call", "reload"}});
  if (!answer.ok()) return answer.status();
  for (const auto end = std::chrono::steady_clock::now() + patience;
       std::chrono::steady_clock::now() < end; std::this_thread::sleep_for(kLook)) {
    if (ModeOfDaemon(runtime_dir) == wanted) return absl::OkStatus();
  }
  return absl::DeadlineExceededError(
      absl::StrCat("corrald did not come back with mode: ", NameOf(wanted),
                   "; its log says why (journalctl -u corrald)"));
}

ModeReport SwitchMode(const ModeSwitch& with, Mode wanted) {
  ModeReport report;
  const absl::StatusOr<ModePlan> plan = PlanMode(with.config, wanted, with.host);
  report.status = plan.status();
  if (!plan.ok()) return report;
  report.before = plan->before;
  report.file = plan->change.file;
  report.daemon_before = report.daemon = ModeOfDaemon(with.runtime_dir);
  if (wanted == Mode::kEnforce) {
    for (Finding& finding : with.check_host()) {
      if (finding.level == Level::kFail) report.failures.push_back(std::move(finding));
    }
    if (!report.failures.empty()) {
      report.status = absl::FailedPreconditionError(
          "this host cannot run Corral; do what \"corralctl check\" says and try again");
      return report;
    }
  }
  // If the mode is there without the drop-in, it is not needed.
  if (plan->before != wanted || plan->change.before) {
    if (!plan->change.IsNone()) report.status = Write(plan->change);
    if (!report.status.ok()) return report;
    report.written = !plan->change.IsNone();
  }
  if (report.daemon && report.daemon != wanted) {
    if (const absl::Status status = ReloadInto(with.runtime_dir, wanted, with.patience);
        !status.ok())
      GiveUp(report, plan->change, status);
    report.daemon = ModeOfDaemon(with.runtime_dir);
  }
  return report;
}

}  // namespace corral::ctl
