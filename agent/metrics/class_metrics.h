// SPDX-License-Identifier: Apache-2.0
// Metrics of what corralctl's views read from the class's memory. Nothing but reads.
#ifndef CORRAL_AGENT_METRICS_CLASS_METRICS_H_
#define CORRAL_AGENT_METRICS_CLASS_METRICS_H_

#include "agent/metrics/families.h"
#include "agent/views/class_view.h"
#include "agent/views/vm_view.h"
#include "kernel/ghost_kernel.h"

namespace corral::metrics {

// Of enclaves, trust domains and cores. What a trust domain ran and waited is the sum over the
// vCPUs that it has now, so it falls when one leaves, which Prometheus takes for a reset.
void AddClass(const ClassView& view, Families& families);
void AddWaits(const ClassView& view, const ControlKernel& kernel, Families& families);
void AddTallies(const ClassView& view, const ControlKernel& kernel, Families& families);
void AddPromises(const ClassView& view, const ControlKernel& kernel, Families& families);
void AddVms(const VmsView& view, Families& families);
// All of it; of a class that is not in charge (nullptr), only that.
Families ClassFamilies(const ControlKernel* kernel, const TrustRules& rules);

}  // namespace corral::metrics

#endif  // CORRAL_AGENT_METRICS_CLASS_METRICS_H_
