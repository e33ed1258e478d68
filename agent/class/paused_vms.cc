// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/paused_vms.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "kernel/bpf/threads_by_policy.h"

namespace corral {
namespace {

bool Protected(pid_t process, pid_t tid) {
  return !IsThreadOf(tid, process) || PolicyOf(tid) == kSchedExtPolicy;
}

}  // namespace

// An ejection frees the slots, but what stands in them stays, and so does the threads' policy.
PausedVms PausedVms::Pause(const ControlKernel& kernel) {
  PausedVms paused;
  for (const ghost_status_word& word : kernel.status_words()) {
    const auto tid = static_cast<pid_t>(word.tid), process = static_cast<pid_t>(word.tgid);
    if (tid <= 1 || process <= 1 || process == getpid()) continue;
    if (!IsThreadOf(tid, process) || PolicyOf(tid) != kSchedExtPolicy) continue;
    std::vector<pid_t>& threads = paused.threads_[process];
    if (threads.empty()) kill(process, SIGSTOP);
    if (std::find(threads.begin(), threads.end(), tid) == threads.end()) threads.push_back(tid);
  }
  return paused;
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
