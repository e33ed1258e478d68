// SPDX-License-Identifier: Apache-2.0
#include "tests/metrics/audit_sample.h"

#include "agent/metrics/audit_metrics.h"

namespace corral {

void AddAuditSample(metrics::Families& families) { metrics::AddAudit(AuditReport(), families); }

}  // namespace corral
