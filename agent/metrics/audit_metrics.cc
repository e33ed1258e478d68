// SPDX-License-Identifier: Apache-2.0
#include "agent/metrics/audit_metrics.h"

namespace corral::metrics {

void AddAudit(const AuditReport& report, Families& families) {
  Family observed = Family::Counter(families, "corral_audit_observed_seconds_total",
                                    "For how long the auditor has watched all CPUs.");
  observed.Add({}, Seconds(report.observed));
  Family complete = Family::Gauge(families, "corral_audit_complete",
                                  "1 if the auditor has missed nothing, else 0.");
  complete.Add({}, report.gaps.Any() ? 0 : 1);
  Family shared = Family::Counter(families, "corral_audit_shared_seconds_total",
                                  "Time that siblings of a core ran vCPUs of two VMs: with both in "
                                  "the class, where it must be 0, or not.");
  shared.Add({{"enforced", "true"}}, Seconds(report.total[AUDIT_VCPU_ENFORCED].time));
  shared.Add({{"enforced", "false"}}, Seconds(report.total[AUDIT_VCPU_EXPOSED].time));
  Family overlaps = Family::Counter(families, "corral_audit_overlaps_total",
                                    "How often siblings of a core began to run vCPUs of two VMs.");
  overlaps.Add({}, static_cast<double>(report.total[AUDIT_VCPU_VCPU].count));
  Family idle = Family::Counter(families, "corral_audit_forced_idle_seconds_total",
                                "Time that a sibling idled beside a VM although tasks waited.");
  idle.Add({}, Seconds(report.total[AUDIT_FORCED_IDLE].time));
}

}  // namespace corral::metrics
