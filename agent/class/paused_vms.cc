// SPDX-License-Identifier: Apache-2.0
#include "agent/class/paused_vms.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "kernel/bpf/ring_queue.h"
#include "kernel/bpf/threads_by_policy.h"

namespace corral {
namespace {

bool Protected(pid_t process, pid_t tid) {
  return !IsThreadOf(tid, process) || PolicyOf(tid) == kSchedExtPolicy;
}

// Whether it can run no more: stopped, traced, or dead. One that has ended cannot either.
bool CannotRun(pid_t process, pid_t tid) {
  std::ifstream file(absl::StrCat("/proc/", process, "/task/", tid, "/stat"));
  std::string stat;
  std::getline(file, stat);
  const size_t name_end = stat.rfind(") ");
  return name_end == std::string::npos || name_end + 2 >= stat.size() ||
         absl::StrContains("TtZXx", stat.substr(name_end + 2, 1));
}

}  // namespace

// An ejection frees the slots, but what stands in them stays, and so does the threads' policy.
PausedVms PausedVms::InClass(const ControlKernel& kernel) {
  PausedVms paused;
  for (const ghost_status_word& word : kernel.status_words()) {
    const auto tid = static_cast<pid_t>(word.tid), process = static_cast<pid_t>(word.tgid);
    if (tid <= 1 || process <= 1 || process == getpid()) continue;
    if (!IsThreadOf(tid, process) || PolicyOf(tid) != kSchedExtPolicy) continue;
    std::vector<pid_t>& threads = paused.threads_[process];
    if (std::find(threads.begin(), threads.end(), tid) == threads.end()) threads.push_back(tid);
  }
  return paused;
}

PausedVms PausedVms::Pause(const ControlKernel& kernel) {
  PausedVms paused = InClass(kernel);
  paused.Stop();
  return paused;
}

void PausedVms::LeaveOutStopped() {
  std::erase_if(threads_, [](const auto& entry) {
    return std::all_of(entry.second.begin(), entry.second.end(),
                       [&](pid_t tid) { return CannotRun(entry.first, tid); });
  });
}

void PausedVms::Stop() const {
  for (const auto& [process, threads] : threads_) kill(process, SIGSTOP);
}

absl::Status PausedVms::AwaitStopped(Duration patience) const {
  const Time end = MonotonicNow() + patience;
  for (const auto& [process, threads] : threads_) {
    for (const pid_t tid : threads) {
      for (; !CannotRun(process, tid); poll(nullptr, 0, 1)) {
        if (MonotonicNow() < end) continue;
        return absl::DeadlineExceededError(
            absl::StrCat("thread ", tid, " of process ", process, " does not stop (SIGSTOP)"));
      }
    }
  }
  return absl::OkStatus();
}

// "PROCESS:THREAD,THREAD;PROCESS:..."
std::string PausedVms::Text() const {
  return absl::StrJoin(threads_, ";", [](std::string* out, const auto& entry) {
    absl::StrAppend(out, entry.first, ":", absl::StrJoin(entry.second, ","));
  });
}

PausedVms PausedVms::Parse(absl::string_view text) {
  PausedVms paused;
  for (const absl::string_view entry : absl::StrSplit(text, ';', absl::SkipEmpty())) {
    const std::vector<absl::string_view> halves = absl::StrSplit(entry, ':');
    pid_t process = 0;
    if (halves.size() != 2 || !absl::SimpleAtoi(halves[0], &process) || process <= 1) continue;
    for (const absl::string_view number : absl::StrSplit(halves[1], ',', absl::SkipEmpty())) {
      pid_t tid = 0;
      if (absl::SimpleAtoi(number, &tid) && tid > 1) paused.threads_[process].push_back(tid);
    }
  }
  return paused;
}

std::vector<pid_t> PausedVms::ResumeProtected() {
  std::vector<pid_t> resumed;
  for (auto entry = threads_.begin(); entry != threads_.end();) {
    const pid_t process = entry->first;
    const bool safe = std::all_of(entry->second.begin(), entry->second.end(),
                                  [&](pid_t tid) { return Protected(process, tid); });
    if (!safe) {
      ++entry;
      continue;
    }
    kill(process, SIGCONT);
    resumed.push_back(process);
    entry = threads_.erase(entry);
  }
  return resumed;
}

std::vector<pid_t> PausedVms::ResumeAll() {
  std::vector<pid_t> resumed;
  for (const auto& [process, threads] : threads_) {
    kill(process, SIGCONT);
    resumed.push_back(process);
  }
  threads_.clear();
  return resumed;
}

}  // namespace corral
