// SPDX-License-Identifier: Apache-2.0
#include "kernel/audit/report.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernel/audit/account.h"

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

Duration AuditCore::BesideHostPercentile(double share) const {
  // The first counts what was no stretch.
  const uint64_t all = std::accumulate(beside_host.begin() + 1, beside_host.end(), uint64_t{0});
  const auto wanted = static_cast<uint64_t>(std::ceil(share * static_cast<double>(all)));
  const uint64_t longest = static_cast<uint64_t>(spans[AUDIT_BESIDE_HOST].longest.count());
  uint64_t seen = 0;
  for (uint32_t i = 1; i < beside_host.size(); ++i) {
    seen += beside_host[i];
    if (seen > 0 && seen >= wanted) {
      const uint64_t bound = audit_length_bound(i);
      return Duration(static_cast<int64_t>(std::min(bound, longest)));
    }
  }
  return Duration(0);
}

AuditCore& AuditCore::operator+=(const AuditCore& other) {
  cpus.insert(cpus.end(), other.cpus.begin(), other.cpus.end());
  for (size_t i = 0; i < spans.size(); ++i) spans[i] += other.spans[i];
  for (size_t i = 0; i < beside_host.size(); ++i) beside_host[i] += other.beside_host[i];
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
