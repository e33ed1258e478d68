// SPDX-License-Identifier: Apache-2.0
// Laws of secure_vm on simulated machines, random ones with random domains and loads: promises,
// caps, weights, and isolation always.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "agent/simulate/simulation.h"

namespace corral {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Duration kStep = milliseconds(10);  // divides every period below

int Draw(int low, int high, const char* what) { return *rc::gen::inRange(low, high + 1).as(what); }

Scenario RandomMachine() {
  Scenario scenario;
  scenario.policy = *FindPolicy("secure_vm");
  scenario.options = OptionValues::Defaults(scenario.policy->options);
  scenario.topology = "numa:" + std::to_string(Draw(1, 2, "nodes")) +
                      " core:" + std::to_string(Draw(1, 3, "cores of a node")) +
                      " pu:" + std::to_string(*rc::gen::element(1, 2, 4).as("siblings"));
  scenario.seed = static_cast<uint64_t>(Draw(1, 1'000'000, "seed"));
  return scenario;
}

ScenarioDomain RandomDomain(int number) {
  ScenarioDomain domain = {.name = "d" + std::to_string(number)};
  domain.vcpus = Draw(1, 4, "vCPUs");
  domain.attributes.weight = *rc::gen::element<uint32_t>(50, 100, 100, 300).as("weight");
  if (Draw(0, 2, "sleeps") == 0) {
    domain.load = {.kind = ScenarioLoad::Kind::kMix,
                   .run = microseconds(Draw(50, 5000, "run, us")),
                   .sleep = microseconds(Draw(50, 5000, "sleep, us"))};
  }
  return domain;
}

void AskForBudget(ScenarioDomain& domain) {
  domain.attributes.period = milliseconds(*rc::gen::element(10, 20, 50, 100).as("period, ms"));
  domain.attributes.budget = domain.attributes.period * Draw(5, 60, "budget, %") / 100;
}

bool Spins(const ScenarioDomain& domain) { return domain.load.kind == ScenarioLoad::Kind::kSpin; }

// What each vCPU had at each step.
class Samples {
 public:
  explicit Samples(Simulation& simulation) : simulation_(simulation) {}

  // From a period's beginning on: they follow each other from time 0.
  void Take(int steps) {
    const Duration now = simulation_.machine().now().time_since_epoch();
    simulation_.Advance((now / kStep + 1) * kStep - now);
    for (int i = 0; i <= steps; ++i) {
      if (i > 0) simulation_.Advance(kStep);
      std::vector<std::vector<Duration>> had;
      for (const auto& domain : simulation_.vcpus()) {
        had.emplace_back();
        for (const sim::SimThread* v : domain)
          had.back().push_back(simulation_.machine().CpuTime(*v));
      }
      if (i == 0) first_ = simulation_.machine().now();
      had_.push_back(std::move(had));
    }
  }

  // Calls `see` with what the vCPU had in each whole period.
  template <typename F>
  void ForEachPeriod(size_t domain, size_t vcpu, Duration period, const F& see) const {
    const auto steps = static_cast<size_t>(period / kStep);
    for (size_t i = 0; i + steps < had_.size(); ++i) {
      const Time start = first_ + static_cast<int64_t>(i) * kStep;
      if (start.time_since_epoch() % period != Duration(0)) continue;
      see(had_[i + steps][domain][vcpu] - had_[i][domain][vcpu]);
    }
  }
  Duration Total(size_t domain, size_t vcpu) const {
    return had_.back()[domain][vcpu] - had_.front()[domain][vcpu];
  }

 private:
  Simulation& simulation_;
  Time first_{};
  std::vector<std::vector<std::vector<Duration>>> had_;
};

// Whoever was promised a budget and is runnable throughout a period has it then. The class counts a
// stint from where the CPU switches to it, as the kernel does, this test from where it has
// switched: one for each minimum tenure, and some where promised time begins and ends.
Duration Switches(Duration period) {
  return microseconds(10) + sim::Costs().context_switch * (period / milliseconds(2));
}
RC_GTEST_PROP(Promises, BudgetsAreKeptInEachPeriod, ()) {
  Scenario scenario = RandomMachine();
  const int domains = Draw(2, 8, "domains");
  for (int i = 0; i < domains; ++i) {
    scenario.domains.push_back(RandomDomain(i));
    if (Draw(0, 2, "best effort") == 0) continue;
    AskForBudget(scenario.domains.back());
  }
  const std::unique_ptr<Simulation> simulation = Simulation::Create(scenario, sim::Costs()).value();
  simulation->Advance(milliseconds(200));
  Samples samples(*simulation);
  samples.Take(60);
  for (size_t d = 0; d < scenario.domains.size(); ++d) {
    const ScenarioDomain& domain = scenario.domains[d];
    if (domain.attributes.budget == Duration(0)) continue;
    for (int v = 0; v < domain.vcpus; ++v) {
      const SimulatedVerdict verdict = simulation->VerdictOn(d, v);
      RC_ASSERT(verdict.core >= 0);
      if (verdict.granted == Duration(0) || !Spins(domain)) continue;
      samples.ForEachPeriod(d, v, domain.attributes.period, [&](Duration had) {
        RC_ASSERT(had.count() >= (verdict.granted - Switches(domain.attributes.period)).count());
      });
    }
  }
  RC_ASSERT(simulation->Run().shared == Duration(0));
}

// Nobody has more than its cap in a period, but for what it takes to end a turn.
RC_GTEST_PROP(Promises, CapsAreHard, ()) {
  Scenario scenario = RandomMachine();
  const int domains = Draw(1, 6, "domains");
  for (int i = 0; i < domains; ++i) {
    scenario.domains.push_back(RandomDomain(i));
    TaskAttributes& attributes = scenario.domains.back().attributes;
    if (Draw(0, 2, "uncapped") == 0) continue;
    attributes.cap_period = milliseconds(*rc::gen::element(10, 20, 50, 100).as("cap period, ms"));
    attributes.cap = attributes.cap_period * Draw(5, 90, "cap, %") / 100;
  }
  const std::unique_ptr<Simulation> simulation = Simulation::Create(scenario, sim::Costs()).value();
  simulation->Advance(milliseconds(200));
  Samples samples(*simulation);
  samples.Take(60);
  for (size_t d = 0; d < scenario.domains.size(); ++d) {
    const TaskAttributes& attributes = scenario.domains[d].attributes;
    if (attributes.cap == Duration(0)) continue;
    for (int v = 0; v < scenario.domains[d].vcpus; ++v) {
      samples.ForEachPeriod(d, v, attributes.cap_period, [&](Duration had) {
        RC_ASSERT(had.count() <= (attributes.cap + microseconds(100)).count());
      });
      const Duration total = samples.Total(d, v);
      const Duration most = attributes.cap * 600 / (attributes.cap_period.count() / 1'000'000) +
                            attributes.cap + microseconds(100);
      RC_ASSERT(total.count() <= most.count());
    }
  }
  RC_ASSERT(simulation->Run().shared == Duration(0));
}

// On one core, domains that always want it have it by weight, as if it were a fluid; the vCPUs of
// each share the siblings.
RC_GTEST_PROP(Promises, WeightsShareACore, ()) {
  Scenario scenario;
  scenario.policy = *FindPolicy("secure_vm");
  scenario.options = OptionValues::Defaults(scenario.policy->options);
  const int siblings = *rc::gen::element(1, 2, 4).as("siblings");
  scenario.topology = "numa:1 core:1 pu:" + std::to_string(siblings);
  const int domains = Draw(2, 5, "domains");
  double shares = 0;
  std::vector<double> share;
  for (int i = 0; i < domains; ++i) {
    ScenarioDomain domain = {.name = "d" + std::to_string(i)};
    domain.vcpus = Draw(1, 6, "vCPUs");
    domain.attributes.weight = static_cast<uint32_t>(Draw(50, 400, "weight"));
    const double weight = domain.attributes.weight;
    share.push_back(weight);
    shares += share.back();
    scenario.domains.push_back(domain);
  }
  const std::unique_ptr<Simulation> simulation = Simulation::Create(scenario, sim::Costs()).value();
  simulation->Advance(milliseconds(100));
  const Duration time = milliseconds(10) * 100 * domains;  // 100 turns each, more or less
  Samples samples(*simulation);
  samples.Take(static_cast<int>(time / kStep));
  for (int d = 0; d < domains; ++d) {
    const ScenarioDomain& domain = scenario.domains[d];
    const double ideal = static_cast<double>(time.count()) * share[d] / shares *
                         std::min(1.0, static_cast<double>(siblings) / domain.vcpus);
    for (int v = 0; v < domain.vcpus; ++v) {
      const double had = static_cast<double>(samples.Total(d, v).count());
      RC_ASSERT(std::abs(had - ideal) <= 0.02 * static_cast<double>(time.count()));
    }
  }
}

}  // namespace
}  // namespace corral
