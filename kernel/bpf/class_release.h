// SPDX-License-Identifier: Apache-2.0
// The way out of the class, which needs nothing else to work: no daemon, no agent, no complete set
// of pins, not even a class that is still in charge. Root only.
//
// Threads come first, because from the moment that the class goes the kernel schedules whatever is
// left in it without asking anybody. What each was before is in the class's status words; where
// these cannot be read, threads are found by their policy and become SCHED_OTHER.
#ifndef CORRAL_KERNEL_BPF_CLASS_RELEASE_H_
#define CORRAL_KERNEL_BPF_CLASS_RELEASE_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace corral {

enum class ReleaseScope {
  // No thread, and VMs that are held stay so: another class takes them over at once. Whoever runs
  // in SCHED_EXT meanwhile runs under the default scheduler.
  kForAnother,
  kAttached,  // threads in the status words; all in SCHED_EXT if these cannot be read
  kAll,       // all in SCHED_EXT, also children of attached ones and those that went there alone
};

struct ReleaseOptions {
  ReleaseScope scope = ReleaseScope::kAttached;
  bool dry_run = false;  // tell, change nothing
};

struct ReleasedThread {
  pid_t tid = 0;
  int policy = 0;      // the one it got
  bool known = false;  // it is its former policy, from the status words
};

struct ReleaseReport {
  std::string scheduler;  // the sched_ext scheduler in charge before: "corral", another's, or ""
  std::string scheduler_after;
  std::vector<ReleasedThread> threads;
  std::vector<std::string> pins;   // paths removed, children before their folders
  std::vector<std::string> notes;  // what was not as expected, and what was done about it
  // What could not be done; everything else was done nevertheless. PermissionDenied: nothing was.
  absl::Status status;
};

// Not an error: nothing to release. Another's scheduler and its threads are left alone. Takes as
// long as the kernel needs to let the class go, at most 10 s.
ReleaseReport ReleaseClass(const ReleaseOptions& options);

}  // namespace corral

#endif  // CORRAL_KERNEL_BPF_CLASS_RELEASE_H_
