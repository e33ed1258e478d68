// SPDX-License-Identifier: Apache-2.0
// Processes that were stopped because nobody can keep them apart at the moment, and that go on once
// they can be.
//
// A value that survives its process as text. One thread.
#ifndef CORRAL_AGENT_CLASS_PAUSED_VMS_H_
#define CORRAL_AGENT_CLASS_PAUSED_VMS_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "kernel/ghost_kernel.h"

namespace corral {

class PausedVms {
 public:
  // Every process with a thread that is in SCHED_EXT by the class's doing. Nothing is stopped yet.
  static PausedVms InClass(const ControlKernel& kernel);
  // InClass(), and Stop().
  static PausedVms Pause(const ControlKernel& kernel);
  // What Text() gave; whatever else stands there is skipped.
  static PausedVms Parse(absl::string_view text);
  std::string Text() const;

  bool empty() const { return threads_.empty(); }
  size_t size() const { return threads_.size(); }
  // Those that somebody else has stopped already, and will let go on, are none of ours any more.
  void LeaveOutStopped();
  void Stop() const;  // SIGSTOP
  // Until none of their threads in the class can run. DeadlineExceeded: which still can.
  absl::Status AwaitStopped(Duration patience) const;
  // Lets those go on whose threads are all in SCHED_EXT again, or have ended; returns them.
  std::vector<pid_t> ResumeProtected();
  // Lets all of them go on; returns them.
  std::vector<pid_t> ResumeAll();

 private:
  std::map<pid_t, std::vector<pid_t>> threads_;  // of each process: those that were in the class
};

}  // namespace corral

#endif  // CORRAL_AGENT_CLASS_PAUSED_VMS_H_
