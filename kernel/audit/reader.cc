// SPDX-License-Identifier: Apache-2.0
#include "kernel/audit/reader.h"

#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <thread>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "kernel/audit/account.h"

namespace corral {
namespace {

std::string CommOf(const char (&comm)[AUDIT_COMM_LEN]) {
  return std::string(comm, strnlen(comm, sizeof(comm)));
}

Time TimeOf(uint64_t ns) { return Time(Duration(ns)); }

absl::Status MapError(absl::string_view map) {
  if (errno == EPERM) {
    return absl::PermissionDeniedError(absl::StrCat("not allowed to read the auditor's ", map,
                                                    "; run as root or with CAP_SYS_ADMIN"));
  }
  return absl::InternalError(
      absl::StrCat("cannot read the auditor's ", map, ": ", std::strerror(errno)));
}

AuditParty PartyOf(const audit_party& party) {
  return {.vm = party.vm,
          .tid = static_cast<pid_t>(party.tid),
          .cpu = CpuId(static_cast<int>(party.cpu)),
          .kind = static_cast<audit_kind>(party.kind)};
}

AuditSpan SpanOf(const audit_span& span) {
  AuditSpan out{
      .time = Duration(span.ns), .count = span.count, .longest = Duration(span.longest_ns)};
  if (span.longest_ns > 0) {
    out.worst = AuditOnset{TimeOf(span.longest.time), PartyOf(span.longest.newcomer),
                           PartyOf(span.longest.incumbent)};
  }
  return out;
}

// How long a CPU may stand still in the middle of a switch (where it is emulated, or taken away by
// a hypervisor) and be waited for, by one reading.
constexpr int kLooksAgain = 100;
constexpr Duration kBetweenLooks = std::chrono::milliseconds(2);

// Copies a core. While a sibling is between two tasks, what is counted against it may yet be taken
// back; if it does not get any further, it counts.
absl::Status CopyCore(int map, uint32_t index, int& looks_left, audit_core* core) {
  for (;; --looks_left) {
    if (bpf_map_lookup_elem_flags(map, &index, core, BPF_F_LOCK)) return MapError("cores");
    if (looks_left <= 0 || !audit_core_unsettled(core, AUDIT_VCPU_ENFORCED))
      return absl::OkStatus();
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

absl::StatusOr<std::vector<AuditCore>> ReadAllCores(int map, uint64_t epoch, uint64_t now,
                                                    AuditGaps& gaps) {
  bpf_map_info info = {};
  uint32_t size = sizeof(info);
  if (bpf_map_get_info_by_fd(map, &info, &size)) return MapError("cores");
  std::vector<AuditCore> cores;
  const auto core = std::make_unique<audit_core>();
  int looks_left = kLooksAgain;
  for (uint32_t i = 0; i < info.max_entries; ++i) {
    if (absl::Status copied = CopyCore(map, i, looks_left, core.get()); !copied.ok()) return copied;
    audit_core_read(core.get(), epoch, now);
    AuditCore& out = cores.emplace_back();
    for (uint32_t sibling = 0; sibling < core->siblings; ++sibling) {
      out.cpus.push_back(CpuId(static_cast<int>(core->cpu[sibling])));
      if (core->slot[sibling].kind == AUDIT_UNKNOWN) gaps.unseen_cpus.push_back(out.cpus.back());
    }
    for (int state = 0; state < AUDIT_STATES; ++state) out.spans[state] = SpanOf(core->span[state]);
    for (uint32_t i = 0; i < AUDIT_LENGTHS; ++i)
      out.beside_host[i] = audit_length_count(core.get(), i);
    out.switches = core->switches;
    out.negative_intervals = core->negative;
    out.negative_time = Duration(core->negative_ns);
    out.missed_switches = core->missed;
    gaps.missed_switches += core->missed;
  }
  return cores;
}

std::vector<AuditThread> ReadThreads(int map, uint64_t epoch, uint64_t now) {
  std::vector<AuditThread> threads;
  ForEachEntry<audit_thread_key, audit_thread>(
      map, true, [&](const audit_thread_key& key, audit_thread& thread) {
        audit_thread_read(&thread, epoch, now);
        if (thread.exited && thread.stints == 0) return;
        AuditThread& out = threads.emplace_back();
        out.tid = key.tid;
        out.tgid = thread.tgid;
        out.vm = thread.vm;
        out.kind = static_cast<audit_kind>(thread.kind);
        out.enrolled = thread.enrolled;
        out.exited = thread.exited;
        out.comm = CommOf(thread.comm);
        out.cpu = CpuId(static_cast<int>(thread.cpu));
        out.stints = thread.stints;
        out.run = Duration(thread.run_ns);
        out.exposure = Duration(thread.exposure_ns);
        out.early_exposure = Duration(thread.early_ns);
        out.first_seen = TimeOf(thread.first_seen);
        if (thread.first_enrolled) out.first_enrolled = TimeOf(thread.first_enrolled);
      });
  std::sort(threads.begin(), threads.end(), [](const AuditThread& a, const AuditThread& b) {
    return std::tie(a.vm, a.tid) < std::tie(b.vm, b.tid);
  });
  return threads;
}

// From the living processes and from what ran, since a VM may be gone already.
std::vector<AuditVm> CollectVms(int processes, const std::vector<AuditThread>& threads) {
  std::map<uint32_t, AuditVm> vms;
  const auto add = [&](uint32_t id, pid_t tgid, const std::string& name) -> AuditVm& {
    AuditVm& vm = vms[id];
    vm.id = id;
    if (vm.name.empty()) vm.name = name;
    if (std::find(vm.tgids.begin(), vm.tgids.end(), tgid) == vm.tgids.end())
      vm.tgids.push_back(tgid);
    return vm;
  };
  ForEachEntry<uint32_t, audit_process>(processes, false,
                                        [&](uint32_t tgid, const audit_process& process) {
                                          add(process.vm, tgid, CommOf(process.name));
                                        });
  for (const AuditThread& thread : threads) {
    AuditVm& vm = add(thread.vm, thread.tgid, thread.comm);
    (thread.kind == AUDIT_VCPU ? vm.vcpu_run : vm.helper_run) += thread.run;
    vm.exposure += thread.exposure;
  }
  std::vector<AuditVm> out;
  for (auto& [id, vm] : vms) {
    std::sort(vm.tgids.begin(), vm.tgids.end());
    out.push_back(std::move(vm));
  }
  return out;
}

absl::StatusOr<uint64_t> MissedByProgramOf(int link) {
  bpf_link_info link_info = {};
  uint32_t size = sizeof(link_info);
  if (bpf_link_get_info_by_fd(link, &link_info, &size)) return MapError("links");
  const Fd program(bpf_prog_get_fd_by_id(link_info.prog_id));
  bpf_prog_info info = {};
  size = sizeof(info);
  if (!program || bpf_prog_get_info_by_fd(program.get(), &info, &size)) return MapError("programs");
  return info.recursion_misses;
}

absl::Status ReadFaults(const AuditObjects& objects, AuditGaps& gaps) {
  std::vector<audit_faults> per_cpu(std::max(libbpf_num_possible_cpus(), 1));
  const uint32_t zero = 0;
  if (bpf_map_lookup_elem(objects[AuditObjects::kFaults], &zero, per_cpu.data()))
    return MapError("faults");
  for (const audit_faults& faults : per_cpu) {
    gaps.unmapped_switches += faults.unmapped_switches;
    gaps.lost_threads += faults.lost_threads;
    gaps.lost_processes += faults.lost_processes;
  }
  for (int link = AuditObjects::kFirstLink; link < AuditObjects::kCount; ++link) {
    absl::StatusOr<uint64_t> missed =
        MissedByProgramOf(objects[static_cast<AuditObjects::Id>(link)]);
    if (!missed.ok()) return missed.status();
    gaps.missed_probes += *missed;
    if (link == AuditObjects::kSwitchLink) gaps.missed_switch_probes = *missed;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AuditReport> ReadAuditReport(const AuditObjects& objects) {
  AuditReport report;
  uint64_t epoch = 0;
  const uint32_t zero = 0;
  if (bpf_map_lookup_elem(objects[AuditObjects::kEpoch], &zero, &epoch)) return MapError("epoch");
  // One time for all, before any copy is taken: what a copy holds is then true at that time, or it
  // has been brought up to a later switch of its own.
  const uint64_t now = AuditNow();
  report.epoch = TimeOf(epoch);
  report.observed = Duration(now > epoch ? now - epoch : 0);
  absl::StatusOr<std::vector<AuditCore>> cores =
      ReadAllCores(objects[AuditObjects::kCores], epoch, now, report.gaps);
  if (!cores.ok()) return cores.status();
  report.cores = *std::move(cores);
  for (const AuditCore& core : report.cores) report.total += core;
  report.threads = ReadThreads(objects[AuditObjects::kThreads], epoch, now);
  report.vms = CollectVms(objects[AuditObjects::kProcesses], report.threads);
  if (absl::Status status = ReadFaults(objects, report.gaps); !status.ok()) return status;
  return report;
}

}  // namespace corral
