// SPDX-License-Identifier: Apache-2.0
// Metrics of what passes between the class and its agents, and of what both cost. Nothing but
// reads.
#ifndef CORRAL_AGENT_METRICS_TRAFFIC_METRICS_H_
#define CORRAL_AGENT_METRICS_TRAFFIC_METRICS_H_

#include "agent/metrics/families.h"
#include "kernel/ghost_kernel.h"

namespace corral::metrics {

// By core: messages, transactions by their result, and who else had its CPUs.
void AddTraffic(const ControlKernel& kernel, Families& families);
// What the class itself found wrong: who ran past it, and what it did about that.
void AddTrips(const ControlKernel& kernel, Families& families);

}  // namespace corral::metrics

#endif  // CORRAL_AGENT_METRICS_TRAFFIC_METRICS_H_
