// SPDX-License-Identifier: Apache-2.0
// Laws of secure_vm on simulated machines, random ones with random domains and loads: promises,
// caps, weights, and isolation always.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/simulate/simulation.h"
#include "tests/sim/draw.h"

namespace corral {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Duration kStep = milliseconds(10);  // divides every period below

OptionValues RandomOptions(const PolicyInfo& policy) {
  OptionValues options = OptionValues::Defaults(policy.options);
  const bool co_running = *rc::gen::arbitrary<bool>().as("co-running");
  EXPECT_TRUE(options.Set("co_running", co_running ? "true" : "false").ok());
  return options;
}

Scenario RandomMachine() {
  Scenario scenario;
  scenario.policy = *FindPolicy("secure_vm");
  scenario.options = RandomOptions(*scenario.policy);
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
  switch (Draw(0, 5, "sleeps, or fights for a lock")) {
    case 0:
    case 1:
      domain.load = {.kind = ScenarioLoad::Kind::kMix,
                     .run = microseconds(Draw(50, 5000, "run, us")),
                     .sleep = microseconds(Draw(50, 5000, "sleep, us"))};
      break;
    case 2:
      domain.load = {.kind = ScenarioLoad::Kind::kLock,
                     .run = microseconds(Draw(5, 200, "compute, us")),
                     .hold = microseconds(Draw(5, 50, "hold, us")),
                     .directed_yield = true};
      break;
    default:
      break;
  }
  return domain;
}

void AskForBudget(ScenarioDomain& domain) {
  domain.attributes.period = milliseconds(*rc::gen::element(10, 20, 50, 100).as("period, ms"));
  domain.attributes.budget = domain.attributes.period * Draw(5, 60, "budget, %") / 100;
}

bool Spins(const ScenarioDomain& domain) { return domain.load.kind == ScenarioLoad::Kind::kSpin; }

// What a vCPU had, and in how many stints.
struct Had {
  Duration time{0};
  int stints = 0;
  Had operator-(const Had& before) const { return {time - before.time, stints - before.stints}; }
};

// How often each thread got a CPU.
class Stints final : public sim::SwitchObserver {
 public:
  void Switched(Time, int, const sim::SimThread*, const sim::SimThread* to) override {
    if (to != nullptr) ++count_[to];
  }
  Had Of(const Simulation& simulation, const sim::SimThread* thread) const {
    const auto count = count_.find(thread);
    return {simulation.machine().CpuTime(*thread), count == count_.end() ? 0 : count->second};
  }

 private:
  std::map<const sim::SimThread*, int> count_;
};

// Whoever was promised a budget and was runnable throughout a period had it then. The class counts
// a stint from where the CPU switches to it, as the kernel does, this test from where it has
// switched: one for each minimum tenure, more if others sleep and leave it the core in between, and
// some where promised time begins and ends.
void ExpectHad(const Had& had, Duration granted, Duration period) {
  const Duration switches =
      std::max<int64_t>(had.stints, period / milliseconds(2)) * sim::Costs().context_switch;
  RC_ASSERT(had.time.count() >= (granted - switches - microseconds(10)).count());
}

// What each vCPU had at each step.
class Samples {
 public:
  explicit Samples(Simulation& simulation) : simulation_(simulation) {
    simulation.Observe(&stints_);
  }

  // From a period's beginning on: they follow each other from time 0.
  void Take(int steps) {
    const Duration now = simulation_.machine().now().time_since_epoch();
    simulation_.Advance((now / kStep + 1) * kStep - now);
    for (int i = 0; i <= steps; ++i) {
      if (i > 0) simulation_.Advance(kStep);
      std::vector<std::vector<Had>> had;
      for (const auto& domain : simulation_.vcpus()) {
        had.emplace_back();
        for (const sim::SimThread* v : domain) had.back().push_back(stints_.Of(simulation_, v));
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
    return (had_.back()[domain][vcpu] - had_.front()[domain][vcpu]).time;
  }

 private:
  Simulation& simulation_;
  Stints stints_;
  Time first_{};
  std::vector<std::vector<std::vector<Had>>> had_;
};

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
      samples.ForEachPeriod(d, v, domain.attributes.period, [&](const Had& had) {
        ExpectHad(had, verdict.granted, domain.attributes.period);
      });
    }
  }
  RC_ASSERT(simulation->Run().shared == Duration(0));
}

// ---- machines that random ones found ----

Scenario MachineOf(const std::string& topology, bool co_running, uint64_t seed) {
  Scenario scenario;
  scenario.policy = *FindPolicy("secure_vm");
  scenario.options = OptionValues::Defaults(scenario.policy->options);
  EXPECT_TRUE(scenario.options.Set("co_running", co_running ? "true" : "false").ok());
  scenario.topology = topology;
  scenario.seed = seed;
  return scenario;
}

// Returns the domain's number.
size_t AddDomain(Scenario& scenario, int vcpus, uint32_t weight, const ScenarioLoad& load,
                 Duration budget = Duration(0), Duration period = Duration(0)) {
  ScenarioDomain domain = {.name = "d" + std::to_string(scenario.domains.size())};
  domain.vcpus = vcpus;
  domain.load = load;
  domain.attributes.weight = weight;
  domain.attributes.budget = budget;
  domain.attributes.period = period;
  scenario.domains.push_back(domain);
  return scenario.domains.size() - 1;
}

// Of 600 ms, each period of each vCPU of a domain that was promised time and spins. Returns in how
// many of them it was interrupted so often.
int ExpectPromised(const Scenario& scenario, size_t domain, int often) {
  const std::unique_ptr<Simulation> simulation = Simulation::Create(scenario, sim::Costs()).value();
  const TaskAttributes& attributes = scenario.domains[domain].attributes;
  simulation->Advance(milliseconds(200));
  Samples samples(*simulation);
  samples.Take(60);
  int interrupted = 0;
  for (int v = 0; v < scenario.domains[domain].vcpus; ++v) {
    EXPECT_EQ(simulation->VerdictOn(domain, v).granted, attributes.budget);
    const auto vcpu = static_cast<size_t>(v);
    samples.ForEachPeriod(domain, vcpu, attributes.period, [&](const Had& had) {
      EXPECT_GE(had.time, attributes.budget - microseconds(10));
      interrupted += had.stints > often;
    });
  }
  return interrupted;
}

// The agent of the second core runs on one of its siblings, often, because others sleep and wake up
// there. The gang, which is promised 42 %, has its time all the same: where its core is promised to
// another until the period's end, it would have none of what the agent took.
TEST(Promises, WhatTheAgentTakesOfASiblingIsGivenBack) {
  const ScenarioLoad mix = {
      .kind = ScenarioLoad::Kind::kMix, .run = microseconds(50), .sleep = microseconds(50)};
  Scenario scenario = MachineOf("numa:1 core:2 pu:2", /*co_running=*/true, /*seed=*/4);
  AddDomain(scenario, 3, 50, mix);
  AddDomain(scenario, 1, 300, mix);
  AddDomain(scenario, 1, 100, mix, microseconds(3200), milliseconds(10));
  AddDomain(scenario, 1, 100, {}, milliseconds(29), milliseconds(100));
  AddDomain(scenario, 1, 100, {});
  const size_t gang = AddDomain(scenario, 2, 50, {}, milliseconds(21), milliseconds(50));
  EXPECT_GT(ExpectPromised(scenario, gang, 50), 3) << "nothing was taken";
}

// The last domain comes in each of its periods, and stays beyond its promise, whose time its vCPUs
// use up with changing places. That the core is given back is not for the first one to pay.
TEST(Promises, WhoInterruptsPaysForGivingBack) {
  const ScenarioLoad lock = {.kind = ScenarioLoad::Kind::kLock,
                             .run = microseconds(5),
                             .hold = microseconds(5),
                             .directed_yield = true};
  Scenario scenario = MachineOf("numa:1 core:1 pu:1", /*co_running=*/false, /*seed=*/1);
  const size_t gang = AddDomain(scenario, 2, 100, {}, microseconds(15'500), milliseconds(50));
  AddDomain(scenario, 1, 100, lock, milliseconds(10), milliseconds(100));
  AddDomain(scenario, 3, 100, lock, microseconds(500), milliseconds(10));
  EXPECT_GT(ExpectPromised(scenario, gang, 3), 3) << "nobody interrupted";
}

// ---- affinities ----

// Some of the machine's CPUs, as operators pin vCPUs.
CpuSet RandomCpus(const Topology& topology) {
  const Core& core = topology.core(Draw(0, topology.nr_cores() - 1, "core"));
  switch (Draw(0, 3, "pinned to")) {
    case 0:
      return CpuSet::All();
    case 1:
      return CpuSet{core.cpu[Draw(0, core.nr_cpus - 1, "sibling")].value()};
    case 2:
      return core.siblings;
    default:
      return core.siblings | topology.core(Draw(0, topology.nr_cores() - 1, "core")).siblings;
  }
}

// A simulation in which affinities change, and what each vCPU had and was promised at each step.
class PinnedStory {
 public:
  explicit PinnedStory(const Scenario& scenario)
      : scenario_(scenario),
        topology_(Topology::FromHwlocSynthetic(scenario.topology).value()),
        simulation_(Simulation::Create(scenario, sim::Costs()).value()),
        changes_(scenario.domains.size()) {
    simulation_->Observe(&stints_);
    for (const ScenarioDomain& domain : scenario.domains)
      affinities_.emplace_back(domain.vcpus, CpuSet::All());
  }

  Simulation& simulation() { return *simulation_; }

  void Pin(size_t domain, int vcpu) {
    affinities_[domain][vcpu] = RandomCpus(topology_);
    simulation_->Pin(domain, vcpu, affinities_[domain][vcpu] & topology_.cpus());
    ++changes_[domain];
  }

  // What is promised is promised where the vCPU may run; and it is said what is free if nothing is.
  void CheckVerdicts() {
    for (size_t d = 0; d < scenario_.domains.size(); ++d) {
      const Duration budget = scenario_.domains[d].attributes.budget;
      for (int v = 0; v < scenario_.domains[d].vcpus && budget > Duration(0); ++v) {
        const SimulatedVerdict verdict = simulation_->VerdictOn(d, v);
        RC_ASSERT(verdict.core >= 0);
        RC_ASSERT(verdict.granted == Duration(0) || verdict.granted == budget);
        RC_ASSERT(verdict.granted > Duration(0) || verdict.free < budget);
        if (verdict.granted == Duration(0) && verdict.free == Duration(0)) continue;
        RC_ASSERT(topology_.core(verdict.core).siblings.Intersects(affinities_[d][v]));
      }
    }
  }

  void Sample() {
    std::vector<std::vector<Seen>> now;
    for (size_t d = 0; d < scenario_.domains.size(); ++d) {
      now.emplace_back();
      for (int v = 0; v < scenario_.domains[d].vcpus; ++v) {
        const Had had = stints_.Of(*simulation_, simulation_->vcpus()[d][v]);
        now.back().push_back({simulation_->VerdictOn(d, v), had, changes_[d]});
      }
    }
    if (seen_.empty()) first_ = simulation_->machine().now();
    seen_.push_back(std::move(now));
  }

  // Whoever was promised the same on the same core throughout a period had it, whatever happened to
  // other domains. Its own may have less until the next period, when one of it is pinned; and the
  // room that a promise takes of one that left may be free only when that one's period is over.
  int CheckPeriods(size_t d, int v) const {
    const Duration period = scenario_.domains[d].attributes.period;
    const auto steps = static_cast<size_t>(period / kStep);
    int periods = 0;
    constexpr size_t kLongest = milliseconds(100) / kStep;
    for (size_t i = kLongest; i + steps < seen_.size(); ++i) {
      const Time start = first_ + static_cast<int64_t>(i) * kStep;
      if (start.time_since_epoch() % period != Duration(0)) continue;
      const Seen& before = seen_[i][d][v];
      bool same = before.verdict.granted > Duration(0);
      for (size_t k = i - kLongest; k <= i + steps; ++k) {
        const Seen& then = seen_[k][d][v];
        same &= then.changes == before.changes && then.verdict.core == before.verdict.core &&
                then.verdict.granted == before.verdict.granted;
      }
      if (!same) continue;
      ++periods;
      ExpectHad(seen_[i + steps][d][v].had - before.had, before.verdict.granted, period);
    }
    return periods;
  }

 private:
  struct Seen {
    SimulatedVerdict verdict;
    Had had;
    int changes = 0;  // of affinities in its domain
  };

  const Scenario& scenario_;
  const Topology topology_;
  const std::unique_ptr<Simulation> simulation_;
  Stints stints_;
  std::vector<int> changes_;                     // by domain
  std::vector<std::vector<CpuSet>> affinities_;  // by domain, then by vCPU
  Time first_{};
  std::vector<std::vector<std::vector<Seen>>> seen_;  // by step
};

// Budgets are kept where affinities let vCPUs run, and while those change.
RC_GTEST_PROP(Promises, FollowAffinities, ()) {
  Scenario scenario = RandomMachine();
  const int domains = Draw(2, 7, "domains");
  for (int i = 0; i < domains; ++i) {
    scenario.domains.push_back(RandomDomain(i));
    if (Draw(0, 2, "best effort") > 0) AskForBudget(scenario.domains.back());
  }
  PinnedStory story(scenario);
  Simulation& simulation = story.simulation();
  const Duration now = simulation.machine().now().time_since_epoch();
  simulation.Advance((now / kStep + 1) * kStep - now);
  const auto pin_one = [&] {
    const int d = Draw(0, domains - 1, "domain");
    story.Pin(static_cast<size_t>(d), Draw(0, scenario.domains[d].vcpus - 1, "vCPU"));
  };
  for (int i = Draw(0, 6, "pinned at first"); i > 0; --i) pin_one();
  for (int step = 0; step < 90; ++step) {
    story.Sample();
    const Duration at = step % 15 == 9 ? microseconds(Draw(0, 7000, "when, us")) : Duration(0);
    simulation.Advance(at);
    if (step % 15 == 9) pin_one();
    // Two milliseconds after a change all is settled.
    simulation.Advance(milliseconds(2));
    story.CheckVerdicts();
    simulation.Advance(kStep - milliseconds(2) - at);
  }
  int periods = 0;
  for (size_t d = 0; d < scenario.domains.size(); ++d) {
    if (scenario.domains[d].attributes.budget == Duration(0) || !Spins(scenario.domains[d]))
      continue;
    for (int v = 0; v < scenario.domains[d].vcpus; ++v) periods += story.CheckPeriods(d, v);
  }
  RC_CLASSIFY(periods > 0, "some periods to be judged");
  RC_ASSERT(simulation.Run().shared == Duration(0));
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
      samples.ForEachPeriod(d, v, attributes.cap_period, [&](const Had& had) {
        RC_ASSERT(had.time.count() <= (attributes.cap + microseconds(100)).count());
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
  scenario.options = RandomOptions(*scenario.policy);
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
