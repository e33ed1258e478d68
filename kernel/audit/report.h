// SPDX-License-Identifier: Apache-2.0
// What the auditor measured, as plain values. Times are ns of CLOCK_MONOTONIC; all figures are of
// one measuring epoch, unless said otherwise. Values may be copied and used from any thread.
#ifndef CORRAL_KERNEL_AUDIT_REPORT_H_
#define CORRAL_KERNEL_AUDIT_REPORT_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "kernel/audit/audit.h"
#include "kernel/types.h"

namespace corral {

// A thread on one side of an overlap. vm is 0 where it belongs to no VM.
struct AuditParty {
  uint32_t vm = 0;
  pid_t tid = 0;
  CpuId cpu;
  audit_kind kind = AUDIT_UNKNOWN;
};

// The stretch of time for which a condition held longest, and the pair with which it began.
struct AuditOnset {
  Time time;
  AuditParty newcomer;
  AuditParty incumbent;
};

// How long, how often and how long at worst a condition (audit.h, enum audit_condition) held.
struct AuditSpan {
  Duration time{};
  uint64_t count = 0;
  Duration longest{};
  std::optional<AuditOnset> worst;  // none if it never held

  AuditSpan& operator+=(const AuditSpan& other);
};

// One core, or the sum of several. With n siblings, a ns in which several pairs fulfil a condition
// counts once.
struct AuditCore {
  std::vector<CpuId> cpus;
  std::array<AuditSpan, AUDIT_STATES> spans;
  // Of AUDIT_BESIDE_HOST, how many stretches were how long, in the buckets of account.h.
  std::array<uint64_t, AUDIT_LENGTHS> beside_host = {};
  uint64_t switches = 0;  // vCPU stints that began after another VM's vCPU on the same core
  // Events that a sibling overtook between reading its clock and taking the core's lock: expected,
  // rare and some 100 ns each.
  uint64_t negative_intervals = 0;
  Duration negative_time{};
  uint64_t missed_switches = 0;  // see AuditGaps

  const AuditSpan& operator[](audit_condition state) const { return spans[state]; }
  // How long a vCPU is beside a host task at a time: what `share` (0 to 1) of the stretches do not
  // exceed, at most a quarter too much; 0 if there was none.
  Duration BesideHostPercentile(double share) const;
  AuditCore& operator+=(const AuditCore& other);
};

struct AuditThread {
  pid_t tid = 0;
  pid_t tgid = 0;
  uint32_t vm = 0;
  audit_kind kind = AUDIT_UNKNOWN;  // in its last stint
  bool enrolled = false;            // likewise: its policy was SCHED_EXT
  bool exited = false;
  std::string comm;
  CpuId cpu;  // the last one
  uint64_t stints = 0;
  Duration run{};
  Duration exposure{};        // ran as a vCPU while not enrolled
  Duration early_exposure{};  // the part of it before the first enrolled stint
  Time first_seen;            // may lie before the epoch
  std::optional<Time> first_enrolled;
};

// A VM that has a live process, or that had a thread on a CPU in this epoch.
struct AuditVm {
  uint32_t id = 0;
  std::vector<pid_t> tgids;  // ascending; several where VMs were merged or a process forked
  std::string name;          // comm of the first process
  Duration vcpu_run{};
  Duration helper_run{};
  Duration exposure{};
};

// What would make the figures wrong. All must be 0 or empty. But for missed_switches, which are of
// the epoch, counted since the auditor was loaded.
struct AuditGaps {
  uint64_t missed_probes = 0;  // events for which the kernel did not run the program
  // The part of these that were switches. The others are of processes that execute or end: since
  // Linux 7 such a probe can be preempted, and the next one on that CPU is skipped meanwhile.
  uint64_t missed_switch_probes = 0;
  uint64_t missed_switches =
      0;  // switches that the kernel did not report at all, as the next one on that CPU shows
  uint64_t unmapped_switches = 0;  // on CPUs that came online after the auditor
  uint64_t lost_threads = 0;       // stints missing from `threads`; cores have them
  uint64_t lost_processes = 0;     // VM processes that were not taken for one
  std::vector<CpuId> unseen_cpus;  // no task switch yet, so what they run is unknown

  bool Any() const {
    return missed_probes || missed_switches || unmapped_switches || lost_threads ||
           lost_processes || !unseen_cpus.empty();
  }
};

struct AuditReport {
  Time epoch;           // begin of the measurement
  Duration observed{};  // from then until the report was taken
  AuditCore total;      // total.cpus: all of them
  std::vector<AuditCore> cores;
  std::vector<AuditThread> threads;  // by VM, then thread id
  std::vector<AuditVm> vms;          // by id
  AuditGaps gaps;
};

// "vcpu", "helper", "host", ...
absl::string_view AuditKindName(audit_kind kind);

}  // namespace corral

#endif  // CORRAL_KERNEL_AUDIT_REPORT_H_
