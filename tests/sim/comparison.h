// SPDX-License-Identifier: Apache-2.0
// The same machine, VMs and loads under a policy (the real agent on the simulated kernel) and under
// the reference schedulers of baselines/, which share nothing with it but the costs.
//
// Loads with a baseline: spin, mix and requests. Units: ns. One thread.
#ifndef CORRAL_TESTS_SIM_COMPARISON_H_
#define CORRAL_TESTS_SIM_COMPARISON_H_

#include <memory>

#include "agent/simulate/scenario.h"
#include "kernel/sim/costs.h"
#include "tests/sim/baselines/world.h"

namespace corral {

// What matters to whoever owns the VMs.
struct Outcome {
  Duration work{0};  // of all, as time of a core for oneself
  Duration p99{0};   // of requests, from arrival to completion; of the domain that has it worst
  // Of a policy only.
  Duration agent_time{0};
  Duration supply{0};  // of all CPUs
};

// Fails the test that calls it if two VMs shared a core.
Outcome RunPolicy(const Scenario& scenario, const sim::Costs& costs);

// The scenario's topology must be nodes, cores and siblings in hwloc's synthetic notation.
Outcome RunBaseline(const Scenario& scenario, const sim::Costs& costs,
                    std::unique_ptr<baselines::Scheduler> scheduler);

}  // namespace corral

#endif  // CORRAL_TESTS_SIM_COMPARISON_H_
