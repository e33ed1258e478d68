// SPDX-License-Identifier: Apache-2.0
// Finds threads by their scheduling policy, and gives them another: what remains possible when
// nobody else remembers which threads were in the class.
//
// Looks through this process's /proc, so it sees the threads of its own PID name space only. Any
// thread may call these; the answer is as old as the look.
#ifndef CORRAL_KERNEL_BPF_THREADS_BY_POLICY_H_
#define CORRAL_KERNEL_BPF_THREADS_BY_POLICY_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernel/types.h"

namespace corral {

// Policy of a thread, without the reset-on-fork flag; -1 if it has ended.
int PolicyOf(pid_t tid);

// Whether that thread is of that process: a thread id may be another thread's by now.
bool IsThreadOf(pid_t tid, pid_t process);

// Ids of all threads with that policy, ascending. Internal: /proc cannot be read.
absl::StatusOr<std::vector<pid_t>> ThreadsWithPolicy(int policy);

// Nice value and reset-on-fork flag stay. NotFound: the thread has ended. Anything else: the
// kernel's reason.
absl::Status ChangePolicy(pid_t tid, int policy);

// "SCHED_OTHER" and so on; "policy 9" for one without a name.
std::string PolicyName(int policy);

}  // namespace corral

#endif  // CORRAL_KERNEL_BPF_THREADS_BY_POLICY_H_
