// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/thread_keeper.h"

#include <sched.h>

#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernel/bpf/threads_by_policy.h"

namespace corral {
namespace {

constexpr int kDefaultWeight = 100;

}  // namespace

absl::StatusOr<DomainId> ThreadKeeper::Domain() {
  // No VM has such a UUID: its first bytes would be text.
  DomainKey key = {};
  memcpy(key.data(), name_.data(), std::min(name_.size(), key.size()));
  return kernel_.CreateDomain(enclave_, key, name_);
}

absl::Status ThreadKeeper::Attach(pid_t tid) {
  const absl::StatusOr<DomainId> domain = Domain();
  if (!domain.ok()) return domain.status();
  return kernel_.AttachTask(tid, *domain, /*vcpu=*/-1, kDefaultWeight).status();
}

std::string ThreadKeeper::Scan() {
  std::string problems;
  for (const pid_t tid : search_.Find(kernel_.Now())) {
    if (sched_getscheduler(tid) == kSchedExtPolicy || refused_.count(tid) != 0) continue;
    const absl::Status status = Attach(tid);
    if (status.ok() || absl::IsNotFound(status)) continue;
    refused_.insert(tid);
    absl::StrAppend(&problems, "enclave ", name_, ": ", status.message(), "\n");
  }
  return problems;
}

size_t ThreadKeeper::Release() {
  size_t released = 0;
  for (const ghost_status_word& word : kernel_.status_words()) {
    // Whoever leaves or dies at this moment needs no help.
    if (word.gtid != 0 && word.enclave == enclave_.value() &&
        kernel_.DetachTask(Gtid(word.gtid)).ok())
      ++released;
  }
  return released;
}

absl::Status ThreadKeeper::AttachProcess(pid_t pid) {
  const std::vector<pid_t> tids = ThreadsOfProcess(pid);
  if (tids.empty()) return absl::NotFoundError(absl::StrCat("there is no process ", pid));
  for (const pid_t tid : tids) {
    if (const absl::Status status = Attach(tid); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace corral
