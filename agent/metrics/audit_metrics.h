// SPDX-License-Identifier: Apache-2.0
// Metrics of the auditor's report: for how long VMs shared cores.
#ifndef CORRAL_AGENT_METRICS_AUDIT_METRICS_H_
#define CORRAL_AGENT_METRICS_AUDIT_METRICS_H_

#include "agent/metrics/families.h"
#include "kernel/audit/report.h"

namespace corral::metrics {

void AddAudit(const AuditReport& report, Families& families);

}  // namespace corral::metrics

#endif  // CORRAL_AGENT_METRICS_AUDIT_METRICS_H_
