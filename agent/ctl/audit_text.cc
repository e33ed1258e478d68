// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/audit_text.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "agent/ctl/figures.h"
#include "kernel/cpu_set.h"

namespace corral::ctl {
namespace {

std::string CpuList(const std::vector<CpuId>& cpus) {
  CpuSet set;
  for (CpuId cpu : cpus) set.Insert(cpu);
  return set.Format();
}

std::string Party(const AuditParty& party) {
  return absl::StrFormat("VM %d %s %d (CPU %d)", party.vm, AuditKindName(party.kind), party.tid,
                         party.cpu.value());
}

std::string Verdict(const AuditReport& report) {
  const AuditSpan& enforced = report.total[AUDIT_VCPU_ENFORCED];
  const AuditSpan& exposed = report.total[AUDIT_VCPU_EXPOSED];
  const bool smt = std::any_of(report.cores.begin(), report.cores.end(),
                               [](const AuditCore& core) { return core.cpus.size() > 1; });
  if (!smt) return "No core has more than one CPU online (SMT is off): nothing can overlap.\n";
  if (report.total[AUDIT_BUSY].time.count() == 0) return "No VM ran.\n";
  if (enforced.count > 0) return "BREACH: cores ran two VMs at once although both were enrolled.\n";
  if (exposed.count > 0)
    return "EXPOSED: cores ran two VMs at once; they were not enrolled in Corral.\n";
  return "No core ran vCPUs of two VMs at once.\n";
}

std::string CoreRow(const std::string& name, const AuditCore& core) {
  const Duration busy = core[AUDIT_BUSY].time;
  return absl::StrFormat(
      "%-9.9s %9s %9s %8s %9s %8s %8s %8s\n", name, Human(busy),
      Human(core[AUDIT_VCPU_ENFORCED].time), Percent(core[AUDIT_VCPU_ENFORCED].time, busy),
      Human(core[AUDIT_VCPU_EXPOSED].time), Percent(core[AUDIT_VCPU_EXPOSED].time, busy),
      Percent(core[AUDIT_VCPU_HELPER].time, busy), Percent(core[AUDIT_BESIDE_HOST].time, busy));
}

// Only cores that ran a VM: on a large host most rows would say nothing.
std::string CoreTable(const AuditReport& report) {
  std::string out = absl::StrFormat("%-9s %9s %9s %8s %9s %8s %8s %8s\n", "CPUs", "VM time",
                                    "enforced", "", "exposed", "", "v-helper", "v-host");
  for (const AuditCore& core : report.cores) {
    if (core[AUDIT_BUSY].time.count() > 0) absl::StrAppend(&out, CoreRow(CpuList(core.cpus), core));
  }
  absl::StrAppend(&out, CoreRow("total", report.total));
  return out + "v-helper: vCPU beside another VM's helper thread; v-host: beside a host task\n";
}

std::string Worst(absl::string_view label, const AuditSpan& span) {
  if (!span.worst) return "";
  return absl::StrFormat("%s: %d overlaps, longest %s:\n  %s beside\n  %s\n", label, span.count,
                         Human(span.longest), Party(span.worst->newcomer),
                         Party(span.worst->incumbent));
}

// How long a VM is in the host's sight at a time (invariant I2).
std::string BesideHost(const AuditCore& total) {
  const AuditSpan& span = total[AUDIT_BESIDE_HOST];
  if (span.count == 0) return "";
  return absl::StrFormat("Beside a host task: %d times, p50 %s, p99 %s, longest %s.\n", span.count,
                         Human(total.BesideHostPercentile(0.5)),
                         Human(total.BesideHostPercentile(0.99)), Human(span.longest));
}

std::string VmTable(const AuditReport& report) {
  if (report.vms.empty()) return "";
  std::string out = absl::StrFormat("\n%-5s %-15s %-12s %11s %11s %11s\n", "VM", "name", "process",
                                    "vCPUs ran", "helpers", "unenrolled");
  for (const AuditVm& vm : report.vms) {
    std::string processes = absl::StrCat(vm.tgids.front());
    if (vm.tgids.size() > 1) absl::StrAppend(&processes, " +", vm.tgids.size() - 1);
    absl::StrAppendFormat(&out, "%-5d %-15.15s %-12s %11s %11s %11s\n", vm.id, vm.name, processes,
                          Human(vm.vcpu_run), Human(vm.helper_run), Human(vm.exposure));
  }
  return out;
}

std::string Warnings(const AuditGaps& gaps) {
  std::string out;
  const auto warn = [&](uint64_t count, absl::string_view what) {
    if (count > 0) absl::StrAppend(&out, "warning: ", count, " ", what, "\n");
  };
  warn(gaps.missed_probes, "events were missed by the probes: figures are too low");
  warn(gaps.missed_switches, "switches were not reported by this kernel: figures are in doubt");
  warn(gaps.unmapped_switches, "switches on CPUs that came online later: measure again");
  warn(gaps.lost_threads, "stints did not fit the thread table: threads are incomplete");
  warn(gaps.lost_processes, "VM processes did not fit the table and were not counted");
  warn(gaps.unseen_cpus.size(),
       absl::StrCat("CPUs have not switched yet (", CpuList(gaps.unseen_cpus),
                    "): what they run is unknown"));
  return out;
}

}  // namespace

std::string AuditText(const AuditReport& report) {
  std::string out = Verdict(report);
  absl::StrAppend(&out, Warnings(report.gaps), "\n", CoreTable(report), "\n");
  absl::StrAppend(&out, Worst("Enforced", report.total[AUDIT_VCPU_ENFORCED]),
                  Worst("Exposed", report.total[AUDIT_VCPU_EXPOSED]), BesideHost(report.total));
  absl::StrAppendFormat(
      &out,
      "Observed %s on %d CPUs; %d switches of cores between VMs; a sibling idle\n"
      "for %s of the time that VMs ran.\n",
      Human(report.observed), report.total.cpus.size(), report.total.switches,
      Percent(report.total[AUDIT_FORCED_IDLE].time, report.total[AUDIT_BUSY].time));
  return out + VmTable(report);
}

}  // namespace corral::ctl
