// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf/threads_by_policy.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace corral {
namespace {

// Names below `dir` that are numbers. Processes come and go meanwhile: one that is gone has none.
std::vector<pid_t> NumbersIn(const std::string& dir) {
  std::vector<pid_t> numbers;
  std::error_code error;
  for (std::filesystem::directory_iterator it(dir, error), end; !error && it != end;
       it.increment(error)) {
    pid_t number;
    if (absl::SimpleAtoi(it->path().filename().string(), &number)) numbers.push_back(number);
  }
  return numbers;
}

}  // namespace

int PolicyOf(pid_t tid) {
  const int policy = sched_getscheduler(tid);
  return policy < 0 ? -1 : policy & ~SCHED_RESET_ON_FORK;
}

bool IsThreadOf(pid_t tid, pid_t process) {
  return access(absl::StrCat("/proc/", process, "/task/", tid).c_str(), F_OK) == 0;
}

absl::StatusOr<std::vector<pid_t>> ThreadsWithPolicy(int policy) {
  const std::vector<pid_t> processes = NumbersIn("/proc");
  if (processes.empty()) {
    return absl::InternalError(
        "no process is to be seen in /proc; mount it: mount -t proc proc /proc");
  }
  std::vector<pid_t> found;
  for (const pid_t process : processes) {
    for (const pid_t tid : NumbersIn(absl::StrCat("/proc/", process, "/task"))) {
      if (PolicyOf(tid) == policy) found.push_back(tid);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

absl::Status ChangePolicy(pid_t tid, int policy) {
  const int before = sched_getscheduler(tid);
  const int flags = before < 0 ? 0 : before & SCHED_RESET_ON_FORK;
  const sched_param param = {};
  if (sched_setscheduler(tid, policy | flags, &param) == 0) return absl::OkStatus();
  if (errno == ESRCH) return absl::NotFoundError(absl::StrCat("thread ", tid, " has ended"));
  return absl::InternalError(absl::StrCat("cannot give thread ", tid, " the policy ",
                                          PolicyName(policy), ": ", strerror(errno)));
}

std::string PolicyName(int policy) {
  switch (policy) {
    case SCHED_OTHER:
      return "SCHED_OTHER";
    case SCHED_FIFO:
      return "SCHED_FIFO";
    case SCHED_RR:
      return "SCHED_RR";
    case SCHED_BATCH:
      return "SCHED_BATCH";
    case SCHED_IDLE:
      return "SCHED_IDLE";
    case kSchedExtPolicy:
      return "SCHED_EXT";
    default:
      return absl::StrCat("policy ", policy);
  }
}

}  // namespace corral
