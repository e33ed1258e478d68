// SPDX-License-Identifier: Apache-2.0
#include "agent/report/audit_watch.h"

#include <utility>

#include "kernel/audit/auditor.h"

namespace corral::report {

std::optional<AuditSample> AuditWatch::Look() {
  // Anew each time: somebody may have ended that measurement and begun another.
  absl::StatusOr<Auditor> auditor = Auditor::OpenPinned(pin_dir_);
  if (!auditor.ok()) return Look(nullptr);
  const absl::StatusOr<AuditReport> report = auditor->Read();
  return Look(report.ok() ? &*report : nullptr);
}

std::optional<AuditSample> AuditWatch::Look(const AuditReport* report) {
  if (report == nullptr) {
    before_.reset();
    return std::nullopt;
  }
  const AuditCore& total = report->total;
  const Totals now = {.epoch = report->epoch,
                      .sums = {.enforced = total[AUDIT_VCPU_ENFORCED].time,
                               .exposed = total[AUDIT_VCPU_EXPOSED].time,
                               .forced_idle = total[AUDIT_FORCED_IDLE].time},
                      .gaps = report->gaps.Any()};
  const std::optional<Totals> before = std::exchange(before_, now);
  if (!before) return std::nullopt;
  // Another epoch began at 0, in this stretch.
  const AuditSample base = before->epoch == now.epoch ? before->sums : AuditSample();
  return AuditSample{.enforced = now.sums.enforced - base.enforced,
                     .exposed = now.sums.exposed - base.exposed,
                     .forced_idle = now.sums.forced_idle - base.forced_idle,
                     .complete = !now.gaps};
}

}  // namespace corral::report
