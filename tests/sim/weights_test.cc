// SPDX-License-Identifier: Apache-2.0
// What domains have of a NUMA node by weight, against the fluid ideal (fluid_shares.h): on random
// machines, with random domains, affinities and neighbours.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "agent/simulate/simulation.h"
#include "policies/secure_vm/fluid.h"
#include "tests/sim/core_time.h"
#include "tests/sim/fluid_shares.h"

namespace corral {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Duration kQuantum = milliseconds(10);  // the default tenure
constexpr double kTolerance = 0.02;
constexpr Duration kSettle = milliseconds(500);

int Draw(int low, int high, const char* what) { return *rc::gen::inRange(low, high + 1).as(what); }

// ---- the ideal itself ----

TEST(FluidShares, ThreeShareTwoCores) {
  const std::vector<FluidDomain> domains(3);
  for (const double share : FluidShares(2, 2, domains)) EXPECT_DOUBLE_EQ(share, 2.0 / 3);
}

TEST(FluidShares, WhatOneCannotUseIsTheOthers) {
  const std::vector<FluidDomain> domains = {
      {.weight = 1000, .vcpus = 2}, {.weight = 100, .vcpus = 3}, {.weight = 200, .vcpus = 4}};
  const std::vector<double> shares = FluidShares(3, 2, domains);
  EXPECT_DOUBLE_EQ(shares[0], 1);
  EXPECT_DOUBLE_EQ(shares[1], 2.0 / 3);
  EXPECT_DOUBLE_EQ(shares[2], 4.0 / 3);
}

TEST(FluidShares, AffinitiesAreBounds) {
  // Three must share core 0; the fourth has core 1, and the fifth what is left of core 2.
  const std::vector<FluidDomain> domains = {{.cores = 0b001},
                                            {.cores = 0b001},
                                            {.cores = 0b001},
                                            {.weight = 300, .cores = 0b010},
                                            {.vcpus = 8, .cores = 0b111}};
  const std::vector<double> shares = FluidShares(3, 2, domains);
  for (int d = 0; d < 3; ++d) EXPECT_DOUBLE_EQ(shares[d], 1.0 / 3);
  EXPECT_DOUBLE_EQ(shares[3], 1);
  EXPECT_DOUBLE_EQ(shares[4], 1);
}

// The lead pours without a thought to affinities; else they agree.
RC_GTEST_PROP(FluidShares, ThePolicyPoursTheSame, ()) {
  const int cores = Draw(1, 6, "cores"), siblings = Draw(1, 4, "siblings");
  std::vector<FluidDomain> domains(Draw(1, 12, "domains"));
  std::vector<secure_vm::Glass> glasses;
  for (FluidDomain& domain : domains) {
    domain.weight = Draw(1, 10'000, "weight");
    domain.vcpus = Draw(1, 12, "vCPUs");
    const int limit = (domain.vcpus + siblings - 1) / siblings;
    glasses.push_back({.weight = domain.weight, .limit = static_cast<double>(limit)});
  }
  const std::vector<double> shares = FluidShares(cores, siblings, domains);
  secure_vm::Pour(cores, absl::MakeSpan(glasses));
  for (size_t d = 0; d < domains.size(); ++d)
    RC_ASSERT(std::abs(glasses[d].share - shares[d]) < 1e-6);
}

// ---- what domains have ----

// A machine with domains, each at home in a node, and the ideal of each.
struct Case {
  Scenario scenario;
  Topology topology;
  std::vector<FluidDomain> fluid;  // by domain
  std::vector<double> ideal;       // of how many cores of its node
  std::vector<bool> full;          // by node: all of it is somebody's due

  int nr_nodes() const { return topology.nr_nodes(); }
  int cores() const { return topology.nr_cores() / nr_nodes(); }  // of a node
  int siblings() const { return topology.core(0).nr_cpus; }
  int NodeOf(size_t d) const { return std::max(scenario.domains[d].memory_node, 0); }

  void FindIdeal() {
    ideal.assign(fluid.size(), 0);
    full.clear();
    for (int node = 0; node < nr_nodes(); ++node) {
      std::vector<FluidDomain> here;
      for (size_t d = 0; d < fluid.size(); ++d) {
        if (NodeOf(d) == node) here.push_back(fluid[d]);
      }
      const std::vector<double> shares = FluidShares(cores(), siblings(), here);
      double sum = 0;
      size_t next = 0;
      for (size_t d = 0; d < fluid.size(); ++d) {
        if (NodeOf(d) == node) sum += ideal[d] = shares[next++];
      }
      full.push_back(sum > cores() - 1e-6);
    }
  }
  // In which each domain is due 100 quanta, or more.
  Duration Window() const {
    const double least = *std::min_element(ideal.begin(), ideal.end());
    return Duration(static_cast<int64_t>(static_cast<double>(kQuantum.count()) * 100 / least));
  }
};

// `draw` is Draw, or the same from another source of chance.
template <typename Draw>
Case MakeCase(const Draw& draw, int most_nodes) {
  Case c;
  c.scenario.policy = *FindPolicy("secure_vm");
  c.scenario.options = OptionValues::Defaults(c.scenario.policy->options);
  const int nodes = draw(1, most_nodes, "nodes");
  const int cores = draw(2, 6, "cores of a node"), siblings = 1 << draw(0, 2, "siblings, log 2");
  c.scenario.topology = "numa:" + std::to_string(nodes) + " core:" + std::to_string(cores) +
                        " pu:" + std::to_string(siblings);
  c.topology = Topology::FromHwlocSynthetic(c.scenario.topology).value();
  c.scenario.seed = static_cast<uint64_t>(draw(1, 1'000'000, "seed"));
  for (int n = draw(2, 3 * cores * nodes, "domains"); n > 0; --n) {
    ScenarioDomain domain = {.name = "d" + std::to_string(n)};
    // As many as its node has CPUs: more would live on others too.
    const int most = draw(0, 3, "wide, if 0") == 0 ? siblings * cores : 2 * siblings;
    domain.vcpus = draw(1, std::min(most, siblings * cores), "vCPUs");
    domain.attributes.weight = static_cast<uint32_t>(draw(50, 400, "weight"));
    domain.memory_node = draw(0, nodes - 1, "node");
    c.fluid.push_back(
        {.weight = static_cast<double>(domain.attributes.weight), .vcpus = domain.vcpus});
    c.scenario.domains.push_back(domain);
  }
  return c;
}

// What each domain had of each core's time, as a part of it.
struct Had {
  std::vector<double> at_home;  // by domain: of how many cores of its node
  std::vector<double> in_all;   // of all nodes
};

class Run {
 public:
  explicit Run(const Case& c)
      : case_(c),
        time_(c.topology, c.fluid.size()),
        simulation_(Simulation::Create(c.scenario, sim::Costs()).value()) {
    simulation_->Observe(&time_);
  }

  // The domain's vCPUs may use these cores only.
  void Pin(size_t domain, uint32_t cores) {
    CpuSet cpus;
    for (int core = 0; core < case_.cores(); ++core) {
      if ((cores >> core) & 1) cpus = cpus | case_.topology.core(core).siblings;
    }
    for (int v = 0; v < case_.scenario.domains[domain].vcpus; ++v)
      simulation_->Pin(domain, v, cpus);
  }

  Had For(Duration window) {
    const std::vector<std::vector<Duration>> before = Read();
    simulation_->Advance(window);
    const std::vector<std::vector<Duration>> after = Read();
    Had had;
    for (size_t d = 0; d < case_.fluid.size(); ++d) {
      Duration all{0};
      for (int node = 0; node < case_.nr_nodes(); ++node) all += after[d][node] - before[d][node];
      const auto part = [&](Duration time) {
        return static_cast<double>(time.count()) / static_cast<double>(window.count());
      };
      const int home = case_.NodeOf(d);
      had.at_home.push_back(part(after[d][home] - before[d][home]));
      had.in_all.push_back(part(all));
    }
    return had;
  }
  Simulation& simulation() { return *simulation_; }

 private:
  std::vector<std::vector<Duration>> Read() {
    time_.Settle(simulation_->machine().now());
    std::vector<std::vector<Duration>> read(case_.fluid.size());
    for (size_t d = 0; d < read.size(); ++d) {
      for (int node = 0; node < case_.nr_nodes(); ++node)
        read[d].push_back(time_.Of(node, static_cast<uint32_t>(d) + 1));
    }
    return read;
  }

  const Case& case_;
  CoreTime time_;
  std::unique_ptr<Simulation> simulation_;
};

// By how much the domain is off, of how many cores. Where there is more than all can use, one may
// have more than its due: more cores than it needs, or another node's.
double ErrorOf(const Case& c, const Had& had, size_t d) {
  const bool exact = std::all_of(c.full.begin(), c.full.end(), [](bool full) { return full; });
  if (exact) return std::abs(had.at_home[d] - c.ideal[d]);
  return std::max(c.ideal[d] - had.in_all[d], 0.0);
}

// While each is due 100 quanta or more, each has what it is due, within 2 % of a core, or of its
// due if that is more. Not so where one of two nodes has room: its idle cores take whoever waits in
// the other one, whatever his weight.
RC_GTEST_PROP(Weights, ShareANodeAsAFluidWould, ()) {
  Case c = MakeCase(Draw, /*most_nodes=*/2);
  c.FindIdeal();
  Run run(c);
  run.simulation().Advance(kSettle);
  const Had had = run.For(c.Window());
  const bool full = std::all_of(c.full.begin(), c.full.end(), [](bool f) { return f; });
  const bool judged = full || c.nr_nodes() == 1;
  RC_CLASSIFY(judged, "judged");
  for (size_t d = 0; judged && d < c.fluid.size(); ++d)
    RC_ASSERT(ErrorOf(c, had, d) <= kTolerance * std::max(c.ideal[d], 1.0));
  RC_ASSERT(run.simulation().Run().shared == Duration(0));
}

// ---- how often within 2 % of its own ----

class Chance {
 public:
  explicit Chance(uint32_t seed) : random_(seed) {}
  int operator()(int low, int high, const char*) const {
    return std::uniform_int_distribution<int>(low, high)(random_);
  }

 private:
  mutable std::mt19937 random_;
};

struct Survey {
  int cases = 0;
  int within = 0;    // all domains are within 2 % of their due
  double worst = 0;  // of the due
  double median() {
    std::sort(errors.begin(), errors.end());
    return errors[errors.size() / 2];
  }
  std::vector<double> errors;  // the worst of each case
};

// `pinned`: of 100 domains, so many may use some cores only.
Survey LookAtMany(int cases, int pinned) {
  Survey survey;
  for (int i = 1; i <= cases; ++i) {
    const Chance chance(static_cast<uint32_t>(i));
    Case c = MakeCase(chance, /*most_nodes=*/1);
    for (FluidDomain& domain : c.fluid) {
      if (chance(1, 100, "") <= pinned)
        domain.cores = static_cast<uint32_t>(chance(1, (1 << c.cores()) - 1, ""));
    }
    c.FindIdeal();
    Run run(c);
    for (size_t d = 0; d < c.fluid.size(); ++d) {
      if (c.fluid[d].cores != ~uint32_t{0}) run.Pin(d, c.fluid[d].cores);
    }
    run.simulation().Advance(kSettle);
    const Had had = run.For(c.Window());
    double worst = 0;
    for (size_t d = 0; d < c.fluid.size(); ++d)
      worst = std::max(worst, ErrorOf(c, had, d) / c.ideal[d]);
    ++survey.cases;
    survey.within += worst <= kTolerance;
    survey.worst = std::max(survey.worst, worst);
    survey.errors.push_back(worst);
  }
  printf(
      "%d of %d cases within 2 %% of each domain's due; worst domain of a case: median %.2f %%, "
      "most %.2f %%\n",
      survey.within, survey.cases, survey.median() * 100, survey.worst * 100);
  return survey;
}

TEST(Weights, AreWithinTwoPercentOfEachDomainsDue) {
  const Survey survey = LookAtMany(400, /*pinned=*/0);
  EXPECT_GE(survey.within * 100, survey.cases * 99);
  EXPECT_LE(survey.worst, 0.03);
}

// The lead moves one gang at a time. Where affinities let no single move help, but an exchange
// would, it does not find that.
TEST(Weights, WithAffinitiesMostAre) {
  const Survey survey = LookAtMany(400, /*pinned=*/30);
  EXPECT_GE(survey.within * 100, survey.cases * 95);
}

// ---- beside others ----

enum class Others { kSleep, kArePromised };

// A quarter of the domains sleep, or were promised time. What these had is theirs; of what they
// left, the others, which compute all the time, should have as much as a fluid would give them.
// How many of the cases are off by more than 2 % of a core, or of what is due if that is more.
int CountOff(int cases, Others others) {
  int off = 0;
  double most = 0;
  for (int i = 1; i <= cases; ++i) {
    const Chance chance(static_cast<uint32_t>(i));
    Case c = MakeCase(chance, /*most_nodes=*/1);
    std::vector<bool> judged;
    for (ScenarioDomain& domain : c.scenario.domains) {
      judged.push_back(judged.size() < 2 || chance(0, 3, "") != 0);
      if (judged.back()) continue;
      if (others == Others::kArePromised) {
        constexpr int kPeriods[] = {10, 20, 50, 100};
        domain.attributes.period = milliseconds(kPeriods[chance(0, 3, "")]);
        domain.attributes.budget = domain.attributes.period * chance(5, 40, "") / 100;
      } else {
        domain.load = {.kind = ScenarioLoad::Kind::kMix,
                       .run = microseconds(chance(50, 5000, "")),
                       .sleep = microseconds(chance(50, 5000, ""))};
      }
    }
    c.FindIdeal();
    Run run(c);
    run.simulation().Advance(kSettle);
    const Had had = run.For(c.Window());
    for (size_t d = 0; d < c.fluid.size(); ++d) {
      if (!judged[d])
        c.fluid[d] = {.weight = 1e9, .vcpus = c.fluid[d].vcpus, .most = had.at_home[d]};
    }
    c.FindIdeal();
    double worst = 0;
    for (size_t d = 0; d < c.fluid.size(); ++d) {
      if (judged[d]) worst = std::max(worst, ErrorOf(c, had, d) / std::max(c.ideal[d], 1.0));
    }
    off += worst > kTolerance;
    most = std::max(most, worst);
    EXPECT_EQ(run.simulation().Run().shared, Duration(0));
  }
  printf("beside others that %s: %d of %d cases off by more than 2 %%, most %.2f %%\n",
         others == Others::kSleep ? "sleep" : "are promised time", off, cases, most * 100);
  return off;
}

// Nineteen of twenty. Who was promised time stays where that was, and the lead knows what it takes
// as an average only.
TEST(Weights, ShareWhatIsNotPromised) { EXPECT_LE(CountOff(200, Others::kArePromised), 10); }

// Nine of ten. Who sleeps for a while has no claim to what it did not have, so what is due changes
// all the time, and moves come too late for it.
TEST(Weights, ShareWhatSleepersLeave) { EXPECT_LE(CountOff(200, Others::kSleep), 20); }

}  // namespace
}  // namespace corral
