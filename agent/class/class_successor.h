// SPDX-License-Identifier: Apache-2.0
// The process that takes over from a class that is in charge: corral-class of another release,
// beside the corrald of the present one (class_handover.h), which alone can read what the present
// class knows.
//
// What they say to each other by standard input and output, a line each: the successor "same" (it
// holds the very class that is loaded, and ends) or "ready ABI" once the kernel has verified its
// class; corrald "go" when the VMs are stopped and everything is written down; the successor
// "done". Nobody has to clean up after a successor that dies before "go"; afterwards MendHandover()
// does.
#ifndef CORRAL_AGENT_CLASS_CLASS_SUCCESSOR_H_
#define CORRAL_AGENT_CLASS_CLASS_SUCCESSOR_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernel/class_layout.h"

namespace corral {

struct SuccessorOptions {
  std::string folder;    // corrald's runtime folder
  uint64_t present = 0;  // ghost_class_info.object of the class that is loaded; 0: replace any
  ClassSizes sizes;      // of that one, and with the threads that the next one shall have
};

// The whole course. Cancelled: corrald does not want it any more, and nothing happened. Any other
// error after "go" leaves the record for MendHandover().
absl::Status SucceedClass(const SuccessorOptions& options);

// Brings a handover to an end that came to none, with the class of this very program if there is
// none in charge that it can talk to. To be called by whoever starts, before anything else; waits
// for those who are still at work on it. False: there was nothing to mend. On an error VMs may
// still be stopped, and what is written down stays.
absl::StatusOr<bool> MendHandover(const std::string& folder);

// Where there is no class any more, and is to be none: lets those go on that such a handover left
// stopped, and forgets it. Returns them.
std::vector<pid_t> AbandonHandover(const std::string& folder);

}  // namespace corral

#endif  // CORRAL_AGENT_CLASS_CLASS_SUCCESSOR_H_
