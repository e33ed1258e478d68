// SPDX-License-Identifier: Apache-2.0
// Which siblings idle at this moment only because their core is another domain's: what top and the
// bus show. Any thread.
#ifndef CORRAL_AGENT_VIEWS_FORCED_IDLE_H_
#define CORRAL_AGENT_VIEWS_FORCED_IDLE_H_

#include <set>

#include "agent/views/class_view.h"
#include "kernel/ghost_kernel.h"

namespace corral {

// CPUs that are idle while one of another domain than their core's owner waits for that core.
std::set<int> ForcedIdleCpus(const ControlKernel& kernel, const ClassView& view);

}  // namespace corral

#endif  // CORRAL_AGENT_VIEWS_FORCED_IDLE_H_
