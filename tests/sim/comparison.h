// SPDX-License-Identifier: Apache-2.0
// The same machine, VMs and loads under a policy (the real agent on the simulated kernel) and under
// the reference schedulers of baselines/, which share nothing with it but the costs.
//
// Loads with a baseline: spin, mix and requests. Units: ns. One thread.
#ifndef CORRAL_TESTS_SIM_COMPARISON_H_
#define CORRAL_TESTS_SIM_COMPARISON_H_

#include <memory>
#include <vector>

#include "agent/simulate/scenario.h"
#include "kernel/sim/costs.h"
#include "tests/sim/baselines/world.h"

namespace corral {

// What matters to whoever owns the VMs; by domain, in the scenario's order.
struct Outcome {
  std::vector<Duration> work;  // as time of a core for oneself
  std::vector<Duration> p99;   // of requests, from arrival to completion; 0 without
  Duration shared{0};          // siblings in two VMs at once

  Duration AllWork() const;
};

Outcome RunPolicy(const Scenario& scenario, const sim::Costs& costs);

// The scenario's topology must be nodes, cores and siblings in hwloc's synthetic notation.
Outcome RunBaseline(const Scenario& scenario, const sim::Costs& costs,
                    std::unique_ptr<baselines::Scheduler> scheduler);

}  // namespace corral

#endif  // CORRAL_TESTS_SIM_COMPARISON_H_
