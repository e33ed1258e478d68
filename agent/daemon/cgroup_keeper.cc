// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/cgroup_keeper.h"

#include <sched.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "kernel/bpf/threads_by_policy.h"

namespace corral {
namespace {

namespace fs = std::filesystem;

constexpr int kDefaultWeight = 100;
constexpr char kCgroupRoot[] = "/sys/fs/cgroup/";

void AddThreads(const fs::path& group, std::vector<pid_t>& tids) {
  std::ifstream file(group / "cgroup.threads");
  for (pid_t tid; file >> tid;) tids.push_back(tid);
}

std::vector<pid_t> ThreadsBelow(const std::string& cgroup) {
  const fs::path top = kCgroupRoot + cgroup;
  std::vector<pid_t> tids;
  AddThreads(top, tids);
  std::error_code error;  // groups come and go while we look
  for (fs::recursive_directory_iterator it(top, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code type_error;
    if (it->is_directory(type_error)) AddThreads(it->path(), tids);
  }
  return tids;
}

}  // namespace

absl::StatusOr<DomainId> CgroupKeeper::Domain() {
  // No VM has such a UUID: its first bytes would be text.
  DomainKey key = {};
  memcpy(key.data(), name_.data(), std::min(name_.size(), key.size()));
  return kernel_.CreateDomain(enclave_, key, name_);
}

absl::Status CgroupKeeper::Attach(pid_t tid) {
  const absl::StatusOr<DomainId> domain = Domain();
  if (!domain.ok()) return domain.status();
  return kernel_.AttachTask(tid, *domain, /*vcpu=*/-1, kDefaultWeight).status();
}

std::string CgroupKeeper::Scan() {
  if (cgroup_.empty()) return "";
  std::string problems;
  for (const pid_t tid : ThreadsBelow(cgroup_)) {
    if (sched_getscheduler(tid) == kSchedExtPolicy || refused_.count(tid) != 0) continue;
    const absl::Status status = Attach(tid);
    if (status.ok() || absl::IsNotFound(status)) continue;
    refused_.insert(tid);
    absl::StrAppend(&problems, "enclave ", name_, ": ", status.message(), "\n");
  }
  return problems;
}

size_t CgroupKeeper::Release() {
  size_t released = 0;
  for (const ghost_status_word& word : kernel_.status_words()) {
    // Whoever leaves or dies at this moment needs no help.
    if (word.gtid != 0 && word.enclave == enclave_.value() &&
        kernel_.DetachTask(Gtid(word.gtid)).ok())
      ++released;
  }
  return released;
}

absl::Status CgroupKeeper::AttachProcess(pid_t pid) {
  std::error_code error;
  std::vector<pid_t> tids;
  for (const auto& entry : fs::directory_iterator(absl::StrCat("/proc/", pid, "/task"), error)) {
    pid_t tid = 0;
    if (absl::SimpleAtoi(entry.path().filename().string(), &tid)) tids.push_back(tid);
  }
  if (tids.empty()) return absl::NotFoundError(absl::StrCat("there is no process ", pid));
  for (const pid_t tid : tids) {
    if (const absl::Status status = Attach(tid); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace corral
