// SPDX-License-Identifier: Apache-2.0
// Processes that were stopped because nobody can keep them apart at the moment, and that go on once
// they can be.
//
// A value that survives an exec of the daemon as text in its environment. One thread.
#ifndef CORRAL_AGENT_DAEMON_PAUSED_VMS_H_
#define CORRAL_AGENT_DAEMON_PAUSED_VMS_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "kernel/ghost_kernel.h"

namespace corral {

class PausedVms {
 public:
  // Stops (SIGSTOP) every process with a thread that is in SCHED_EXT by the class's doing.
  static PausedVms Pause(const ControlKernel& kernel);
  // What Text() gave; whatever else stands there is skipped.
  static PausedVms Parse(absl::string_view text);
  std::string Text() const;

  bool empty() const { return threads_.empty(); }
  size_t size() const { return threads_.size(); }
  // Lets those go on whose threads are all in SCHED_EXT again, or have ended; returns them.
  std::vector<pid_t> ResumeProtected();
  // Lets all of them go on; returns them.
  std::vector<pid_t> ResumeAll();

 private:
  std::map<pid_t, std::vector<pid_t>> threads_;  // of each process: those that were in the class
};

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_PAUSED_VMS_H_
