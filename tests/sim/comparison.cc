// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/comparison.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "agent/simulate/simulation.h"

namespace corral {
namespace {

void AddLoad(baselines::World& world, const ScenarioDomain& domain) {
  const int id = world.AddDomain(domain.attributes.weight);
  const ScenarioLoad& load = domain.load;
  switch (load.kind) {
    case ScenarioLoad::Kind::kSpin:
      return world.AddCpuBound(id, domain.vcpus);
    case ScenarioLoad::Kind::kMix:
      return world.AddRunSleep(id, domain.vcpus, load.run, load.sleep);
    case ScenarioLoad::Kind::kRequests:
      return world.AddRequests(id, domain.vcpus, load.every, baselines::Exponential(load.service));
    case ScenarioLoad::Kind::kLock:
    case ScenarioLoad::Kind::kRelay:
      break;
  }
  ADD_FAILURE() << "no baseline has the load of " << domain.name;
}

}  // namespace

Outcome RunPolicy(const Scenario& scenario, const sim::Costs& costs) {
  const std::unique_ptr<Simulation> simulation = Simulation::Create(scenario, costs).value();
  const SimulationResult result = simulation->Run();
  EXPECT_EQ(result.shared, Duration(0));
  Outcome outcome = {.agent_time = result.agent_time, .supply = result.time * result.nr_cpus};
  for (const SimulatedDomain& domain : result.domains) {
    outcome.work += domain.work;
    outcome.p99 = std::max(outcome.p99, domain.requests.p99);
  }
  return outcome;
}

Outcome RunBaseline(const Scenario& scenario, const sim::Costs& costs,
                    std::unique_ptr<baselines::Scheduler> scheduler) {
  const Topology topology = Topology::FromHwlocSynthetic(scenario.topology).value();
  baselines::World world({.cores = topology.nr_cores(),
                          .siblings = topology.core(0).nr_cpus,
                          .smt_speed = costs.smt_speed,
                          .seed = scenario.seed},
                         std::move(scheduler));
  for (const ScenarioDomain& domain : scenario.domains) AddLoad(world, domain);
  world.RunFor(scenario.time);
  const baselines::Result result = world.GetResult();
  Outcome outcome;
  for (const baselines::Result::Domain& domain : result.domains) {
    outcome.work += domain.work;
    outcome.p99 = std::max(outcome.p99, domain.response.Percentile(9900));
  }
  return outcome;
}

}  // namespace corral
