// SPDX-License-Identifier: Apache-2.0
#include "kernel/audit/report.h"

namespace corral {

AuditSpan& AuditSpan::operator+=(const AuditSpan& other) {
  time += other.time;
  count += other.count;
  if (other.longest > longest) {
    longest = other.longest;
    worst = other.worst;
  }
  return *this;
}

AuditCore& AuditCore::operator+=(const AuditCore& other) {
  cpus.insert(cpus.end(), other.cpus.begin(), other.cpus.end());
  for (size_t i = 0; i < spans.size(); ++i) spans[i] += other.spans[i];
  switches += other.switches;
  negative_intervals += other.negative_intervals;
  negative_time += other.negative_time;
  missed_switches += other.missed_switches;
  return *this;
}

absl::string_view AuditKindName(audit_kind kind) {
  switch (kind) {
    case AUDIT_UNKNOWN:
      return "unknown";
    case AUDIT_IDLE:
      return "idle";
    case AUDIT_KTHREAD:
      return "kthread";
    case AUDIT_HOST:
      return "host";
    case AUDIT_HELPER:
      return "helper";
    case AUDIT_VCPU:
      return "vcpu";
  }
  return "unknown";
}

}  // namespace corral
