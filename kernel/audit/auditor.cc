// SPDX-License-Identifier: Apache-2.0
#include "kernel/audit/auditor.h"

#include <bpf/bpf.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "kernel/audit/cores.h"
#include "kernel/audit/reader.h"

namespace corral {
namespace {

// Long enough that the epoch is published before it begins, except when the caller is preempted;
// then it tries again.
constexpr uint64_t kEpochLead = 200'000;

absl::Status CheckNames(const std::vector<std::string>& names) {
  if (names.size() > AUDIT_MAX_NAMES) {
    return absl::InvalidArgumentError(absl::StrCat(names.size(), " names of executables; at most ",
                                                   AUDIT_MAX_NAMES, " are possible"));
  }
  for (const std::string& name : names) {
    if (name.empty() || name.size() >= AUDIT_NAME_LEN || absl::StrContains(name, '/')) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", name, "\" cannot be the beginning of an executable's file name; write 1 to ",
          AUDIT_NAME_LEN - 1, " characters without the directory, such as qemu-system-"));
    }
  }
  return absl::OkStatus();
}

std::optional<audit_process> FindProcess(int map, pid_t pid) {
  const uint32_t tgid = pid;
  audit_process process;
  if (bpf_map_lookup_elem(map, &tgid, &process)) return std::nullopt;
  return process;
}

absl::Status NoSuchVm(pid_t pid) {
  return absl::NotFoundError(absl::StrCat(
      "process ", pid, " is no VM; name the process id of a running QEMU, or declare it"));
}

}  // namespace

absl::StatusOr<Auditor> Auditor::Load(const AuditorOptions& options) {
  if (absl::Status status = CheckNames(options.exec_names); !status.ok()) return status;
  std::vector<CpuSet> cores = options.cores;
  if (cores.empty()) {
    absl::StatusOr<std::vector<CpuSet>> found = ReadCores();
    if (!found.ok()) return found.status();
    cores = *std::move(found);
  }
  if (absl::Status status = CheckCores(cores); !status.ok()) return status;
  absl::StatusOr<AuditObjects> objects =
      AuditObjects::Load(cores, options.exec_names, std::max<size_t>(options.max_threads, 1),
                         std::max<size_t>(options.max_processes, 1));
  if (!objects.ok()) return objects.status();

  Auditor auditor(*std::move(objects));
  if (absl::Status status = auditor.Scan(); !status.ok()) return status;
  // Visits the CPUs as well, even if there is nothing to declare.
  if (absl::Status status = auditor.Declare(options.pids); !status.ok()) return status;
  if (absl::Status status = auditor.Reset(); !status.ok()) return status;
  return auditor;
}

absl::StatusOr<Auditor> Auditor::OpenPinned(const std::string& dir) {
  absl::StatusOr<AuditObjects> objects = AuditObjects::Open(dir);
  if (!objects.ok()) return objects.status();
  return Auditor(*std::move(objects));
}

absl::Status Auditor::Pin(const std::string& dir) const { return objects_.Pin(dir); }

absl::Status Auditor::Unpin(const std::string& dir) { return AuditObjects::Unpin(dir); }

absl::Status Auditor::Declare(const std::vector<pid_t>& pids) {
  for (pid_t pid : pids) {
    const uint32_t tgid = pid;
    const uint32_t flags = AUDIT_DECLARED;
    if (bpf_map_update_elem(objects_[AuditObjects::kDeclared], &tgid, &flags, BPF_ANY)) {
      return absl::ResourceExhaustedError(
          "too many processes at once; declare fewer than 1024 in one call");
    }
  }
  absl::Status status = pids.empty() ? absl::OkStatus() : Scan();
  for (pid_t pid : pids) {
    const uint32_t tgid = pid;
    bpf_map_delete_elem(objects_[AuditObjects::kDeclared], &tgid);
    const std::optional<audit_process> process =
        FindProcess(objects_[AuditObjects::kProcesses], pid);
    if (status.ok() && !(process && process->flags & AUDIT_DECLARED)) {
      status = absl::NotFoundError(absl::StrCat(
          "there is no process ", pid, "; name the id of a running process, not of a thread"));
    }
  }
  if (!status.ok()) return status;
  return VisitCpus();
}

absl::Status Auditor::Merge(pid_t pid, pid_t with) {
  const int map = objects_[AuditObjects::kProcesses];
  std::optional<audit_process> process = FindProcess(map, pid);
  const std::optional<audit_process> other = FindProcess(map, with);
  if (!process) return NoSuchVm(pid);
  if (!other) return NoSuchVm(with);
  process->vm = other->vm;
  const uint32_t tgid = pid;
  if (bpf_map_update_elem(map, &tgid, &*process, BPF_EXIST)) return NoSuchVm(pid);
  return VisitCpus();
}

absl::Status Auditor::Reset() {
  const uint32_t zero = 0;
  uint64_t epoch;
  do {
    epoch = AuditNow() + kEpochLead;
    if (bpf_map_update_elem(objects_[AuditObjects::kEpoch], &zero, &epoch, BPF_ANY)) {
      return absl::InternalError(absl::StrCat("cannot begin a new epoch: ", std::strerror(errno)));
    }
  } while (AuditNow() >= epoch);
  while (AuditNow() < epoch) std::this_thread::sleep_for(std::chrono::microseconds(50));

  std::vector<audit_thread_key> gone;
  ForEachEntry<audit_thread_key, audit_thread>(
      objects_[AuditObjects::kThreads], true,
      [&](const audit_thread_key& key, const audit_thread& thread) {
        if (thread.exited && !thread.running) gone.push_back(key);
      });
  for (const audit_thread_key& key : gone)
    bpf_map_delete_elem(objects_[AuditObjects::kThreads], &key);
  return absl::OkStatus();
}

absl::StatusOr<AuditReport> Auditor::Read() const { return ReadAuditReport(objects_); }

// Looks at all tasks once, in the kernel.
absl::Status Auditor::Scan() const {
  const Fd link(bpf_link_create(objects_[AuditObjects::kScan], 0, BPF_TRACE_ITER, nullptr));
  const Fd scan(link ? bpf_iter_create(link.get()) : -1);
  if (!scan)
    return absl::InternalError(absl::StrCat("cannot scan the tasks: ", std::strerror(errno)));
  char nothing[256];
  ssize_t got;
  do {
    got = read(scan.get(), nothing, sizeof(nothing));
  } while (got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN)));
  if (got < 0)
    return absl::InternalError(absl::StrCat("cannot scan the tasks: ", std::strerror(errno)));
  return absl::OkStatus();
}

// Makes every audited CPU switch tasks once: a probe tells what runs there only when that begins,
// and a vCPU alone on its CPU may go on for ever. As a real-time thread, because an ordinary one
// might wait for ever behind another real-time thread.
absl::Status Auditor::VisitCpus() const {
  bpf_map_info info = {};
  uint32_t size = sizeof(info);
  if (bpf_map_get_info_by_fd(objects_[AuditObjects::kCores], &info, &size)) {
    return absl::InternalError(
        absl::StrCat("cannot read the auditor's cores: ", std::strerror(errno)));
  }
  std::vector<uint32_t> cpus;
  const auto core = std::make_unique<audit_core>();
  for (uint32_t i = 0; i < info.max_entries; ++i) {
    if (bpf_map_lookup_elem_flags(objects_[AuditObjects::kCores], &i, core.get(), BPF_F_LOCK))
      continue;
    cpus.insert(cpus.end(), core->cpu, core->cpu + core->siblings);
  }
  // In a thread of its own, so that the caller keeps its affinity and policy. What cannot be
  // visited (a cpuset forbids it) is reported as unseen until it switches by itself.
  std::thread([&cpus] {
    const sched_param highest = {.sched_priority = sched_get_priority_max(SCHED_FIFO)};
    sched_setscheduler(0, SCHED_FIFO, &highest);
    for (uint32_t cpu : cpus) {
      cpu_set_t set;
      CPU_ZERO(&set);
      CPU_SET(cpu, &set);
      sched_setaffinity(0, sizeof(set), &set);
    }
  }).join();
  return absl::OkStatus();
}

}  // namespace corral
