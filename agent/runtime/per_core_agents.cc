// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/per_core_agents.h"

namespace corral {

PerCoreAgents::PerCoreAgents(EnclaveState& state, PerCorePolicy& policy)
    : state_(state), lead_(state, policy) {
  for (int core = 0; core < state.topology().nr_cores(); ++core) {
    policies_.push_back(policy.MakeCore(core));
    Lead* const lead = core == state.lead() ? &lead_ : nullptr;
    loops_.push_back(std::make_unique<PerCoreLoop>(state, core, *policies_.back(), lead));
  }
}

LoopCounters PerCoreAgents::Totals() const {
  LoopCounters totals;
  for (const std::unique_ptr<PerCoreLoop>& loop : loops_) totals += loop->counters();
  return totals;
}

}  // namespace corral
