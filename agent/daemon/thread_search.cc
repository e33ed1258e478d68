// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/thread_search.h"

#include <fnmatch.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace corral {
namespace {

namespace fs = std::filesystem;

constexpr char kCgroups[] = "/sys/fs/cgroup/";
// Below these are units of users' own managers, which may have any name.
constexpr char kUserManager[] = "user@";
// What decides for the others cannot be one of them.
constexpr absl::string_view kOurs[] = {"corrald", "corral-agent", "corral-class", "corralctl"};
// PF_KTHREAD of the kernel's sched.h, in the flags of /proc/PID/stat.
constexpr uint32_t kKernelThread = 0x00200000;

void AddThreads(const fs::path& group, std::vector<pid_t>& tids) {
  std::ifstream file(group / "cgroup.threads");
  for (pid_t tid; file >> tid;) tids.push_back(tid);
}

void AddThreadsBelow(const fs::path& top, std::vector<pid_t>& tids) {
  AddThreads(top, tids);
  std::error_code error;  // groups come and go while we look
  for (fs::recursive_directory_iterator it(top, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code type_error;
    if (it->is_directory(type_error)) AddThreads(it->path(), tids);
  }
}

std::string NameOfProcess(pid_t process, const std::string& root) {
  std::ifstream file(absl::StrCat(root, "/proc/", process, "/comm"));
  std::string name;
  std::getline(file, name);
  return name;
}

bool IsKernelThread(pid_t process, const std::string& root) {
  std::ifstream file(absl::StrCat(root, "/proc/", process, "/stat"));
  std::string text;
  std::getline(file, text);
  // Behind the name, which may hold anything: state, ppid, pgrp, session, tty_nr, tpgid, flags.
  std::istringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string skipped;
  for (int i = 0; i < 6; ++i) fields >> skipped;
  uint32_t flags = 0;
  return fields >> flags && (flags & kKernelThread) != 0;
}

template <typename Visit>
void ForEachNumber(const std::string& dir, Visit visit) {
  std::error_code error;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    pid_t number = 0;
    if (absl::SimpleAtoi(it->path().filename().string(), &number)) visit(number);
  }
}

}  // namespace

std::vector<pid_t> ThreadsOfProcess(pid_t process, const std::string& root) {
  std::vector<pid_t> tids;
  ForEachNumber(absl::StrCat(root, "/proc/", process, "/task"),
                [&](pid_t tid) { tids.push_back(tid); });
  std::sort(tids.begin(), tids.end());
  return tids;
}

std::vector<pid_t> ThreadSearch::Find(Time now) {
  std::vector<pid_t> tids;
  if (!wanted_.cgroup.empty()) AddThreadsBelow(absl::StrCat(root_, kCgroups, wanted_.cgroup), tids);
  const bool thorough = now >= thorough_;
  if (thorough) {
    thorough_ = now + kThorough;
    FindUnits();
    FindProcesses(tids);
  }
  for (const auto& [unit, cgroup] : units_) AddThreadsBelow(cgroup, tids);
  return tids;
}

void ThreadSearch::FindUnits() {
  units_.clear();
  if (wanted_.units.empty()) return;
  std::error_code error;
  for (fs::recursive_directory_iterator it(absl::StrCat(root_, kCgroups), error), end;
       !error && it != end; it.increment(error)) {
    std::error_code type_error;
    if (!it->is_directory(type_error)) continue;
    const std::string name = it->path().filename();
    if (absl::StartsWith(name, kUserManager)) it.disable_recursion_pending();
    if (std::find(wanted_.units.begin(), wanted_.units.end(), name) != wanted_.units.end())
      units_.emplace(name, it->path());
  }
}

bool ThreadSearch::IsWanted(pid_t process) const {
  const std::string name = NameOfProcess(process, root_);
  if (std::find(std::begin(kOurs), std::end(kOurs), name) != std::end(kOurs)) return false;
  const bool named = std::any_of(
      wanted_.processes.begin(), wanted_.processes.end(), [&](const std::string& wanted) {
        pid_t id = 0;
        return absl::SimpleAtoi(wanted, &id) ? id == process
                                             : fnmatch(wanted.c_str(), name.c_str(), 0) == 0;
      });
  return named && !IsKernelThread(process, root_);
}

void ThreadSearch::FindProcesses(std::vector<pid_t>& tids) const {
  if (wanted_.processes.empty()) return;
  ForEachNumber(absl::StrCat(root_, "/proc"), [&](pid_t process) {
    if (!IsWanted(process)) return;
    for (const pid_t tid : ThreadsOfProcess(process, root_)) tids.push_back(tid);
  });
}

}  // namespace corral
