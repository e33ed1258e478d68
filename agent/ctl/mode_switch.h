// SPDX-License-Identifier: Apache-2.0
// What `corralctl enable` and `disable` do: `mode` is said in a drop-in of corralctl's own, and
// corrald takes it up. Either all of it comes about, or nothing has changed afterwards.
//
// The operator's files are not touched. Units: the patience in time. One thread.
#ifndef CORRAL_AGENT_CTL_MODE_SWITCH_H_
#define CORRAL_AGENT_CTL_MODE_SWITCH_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/check/finding.h"
#include "config/config.h"
#include "kernel/types.h"

namespace corral::ctl {

// Late in the order of the drop-ins, since it is the newest word.
inline constexpr char kModeDropInName[] = "90-corralctl.yaml";

// A file that is to say something else. Nothing is written before Write.
struct FileChange {
  std::string file;
  std::optional<std::string> before;  // none: it is not there
  std::string after;

  bool IsNone() const { return before == after; }
};

struct ModePlan {
  Mode before = Mode::kObserve;
  FileChange change;
};

// What has to be written for this mode to be in force. InvalidArgument, one line per error: the
// configuration would not be right on this host. FailedPrecondition: a drop-in
// that is read later says another mode. NotFound: a file cannot be read.
absl::StatusOr<ModePlan> PlanMode(const std::string& config, Mode wanted, const HostCpus& host);

// Atomic: whoever reads finds the former text or the new one, also after a crash. PermissionDenied,
// or Internal with the reason.
absl::Status Write(const FileChange& change);
// Makes it what it was before.
absl::Status Undo(const FileChange& change);

// What the running corrald does; nullopt: none answers. Waits for one that is starting.
std::optional<Mode> ModeOfDaemon(const std::string& runtime_dir);

// Has the running corrald read its configuration again and waits until it is in the mode wanted.
// FailedPrecondition: it refuses, and goes on as before. Unavailable: there is none.
// DeadlineExceeded: it was not ready in time, or is gone.
absl::Status ReloadInto(const std::string& runtime_dir, Mode wanted, Duration patience);

struct ModeSwitch {
  std::string config;
  std::string runtime_dir;
  HostCpus host;
  std::function<Findings()> check_host;  // asked before anything that enforces
  Duration patience = std::chrono::seconds(60);
};

struct ModeReport {
  absl::Status status;  // anything but OK: nothing was changed, or it was undone
  Mode before = Mode::kObserve;
  std::string file;                           // the drop-in
  bool written = false;                       // it says something else now
  Findings failures;                          // of the host, which forbid it
  std::optional<Mode> daemon_before, daemon;  // nullopt: none answers
};

ModeReport SwitchMode(const ModeSwitch& with, Mode wanted);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_MODE_SWITCH_H_
