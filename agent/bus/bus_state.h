// SPDX-License-Identifier: Apache-2.0
// What corrald shows on D-Bus, as plain values: one look at the class's memory.
//
// Any thread.
#ifndef CORRAL_AGENT_BUS_BUS_STATE_H_
#define CORRAL_AGENT_BUS_BUS_STATE_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "agent/views/class_view.h"
#include "config/config.h"
#include "kernel/ghost_kernel.h"

namespace corral {

struct BusState {
  std::string mode;         // as corral.yaml has it
  std::string class_state;  // "absent", "in-charge" or "lost"
  Duration looked{};        // the class's clock when all this was so
  uint64_t breaches = 0;    // switch-ins that isolation forbids, since the class was loaded
  // A line each: who, why, and what to do.
  std::vector<std::string> unprotected;
  std::vector<std::string> refused;
  std::vector<std::string> conflicts;
  std::vector<EnclaveView> enclaves;
  std::vector<DomainView> domains;
  std::vector<CoreView> cores;
  std::set<int> forced_idle;  // CPUs that idle because their core is another domain's
};

// `kernel`: nullptr without a class, as while corrald only observes.
BusState LookForBus(Mode mode, const ControlKernel* kernel);

}  // namespace corral

#endif  // CORRAL_AGENT_BUS_BUS_STATE_H_
