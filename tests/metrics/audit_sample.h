// SPDX-License-Identifier: Apache-2.0
// The auditor's families of metrics. Apart from metrics_sample.cc, because the class's source as
// C++ and the auditor's headers each bring a struct bpf_timer.
#ifndef CORRAL_TESTS_METRICS_AUDIT_SAMPLE_H_
#define CORRAL_TESTS_METRICS_AUDIT_SAMPLE_H_

#include "agent/metrics/families.h"

namespace corral {

void AddAuditSample(metrics::Families& families);

}  // namespace corral

#endif  // CORRAL_TESTS_METRICS_AUDIT_SAMPLE_H_
