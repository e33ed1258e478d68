// SPDX-License-Identifier: Apache-2.0
// Scenarios: every error with its place and what would be right, and what comes out of a good one.
#include "agent/simulate/scenario.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "agent/ctl/simulate_output.h"
#include "agent/simulate/simulation.h"

namespace corral {
namespace {

using std::chrono::milliseconds;

std::string ErrorOf(const std::string& text) {
  return std::string(ParseScenario(text, "s.yaml").status().message());
}

TEST(ScenarioTest, EachErrorIsToldWithItsPlace) {
  struct Case {
    const char* text;
    const char* error;
  };
  for (const Case& c : {
           Case{"[]", "s.yaml:1:1: this is not a scenario"},
           Case{"domains: [{name: a}]", "version is missing"},
           Case{"version: 1", "there are no domains"},
           Case{"version: 1\ndomains: []", "s.yaml:2:10: domains must be a list"},
           Case{"version: 1\ndomains: [{vcpus: 2}]", "this domain has no name"},
           Case{"version: 1\ndomains: [{name: a, vpcus: 2}]",
                "s.yaml:2:21: there is no key \"vpcus\" here; did you mean \"vcpus\"?"},
           Case{"version: 1\ndomains: [{name: a, vcpus: 0}]", "is not a whole number from 1"},
           Case{"version: 1\ndomains: [{name: a, load: {run: 2ms}}]", "add \"sleep: 5ms\""},
           Case{"version: 1\ndomains: [{name: a, load: idle}]", "load is spin"},
           Case{"version: 1\ndomains: [{name: a, load: {every: 1ms, service: 0}}]", "service"},
           Case{"version: 1\ndomains: [{name: a, load: {relay: 1ms, directed_yield: true}}]",
                "s.yaml:2:40: there is no key \"directed_yield\" here"},
           Case{"version: 1\ndomains:\n"
                "  - {name: a, load: {compute: 1ms, hold: 1ms, directed_yield: maybe}}",
                "s.yaml:3:63: directed_yield"},
           Case{"version: 1\ndomains: [{name: a, budget: 5ms, period: 2ms}]",
                "budget is more than period"},
           Case{"version: 1\npolicy: securevm\ndomains: [{name: a}]", "s.yaml:2:9:"},
           Case{"version: 1\ntime: 1d\ndomains: [{name: a}]", "time"},
           Case{"version: 1\ndomains: [{name: a, count: 10000, vcpus: 1024}]",
                "these are more than 20000 vCPUs"},
           Case{"version: 1\ndomains: [", "this is not valid YAML"},
           Case{"a\x01", "here is the byte 0x01; a scenario is UTF-8 text"},
       }) {
    EXPECT_TRUE(absl::StrContains(ErrorOf(c.text), c.error))
        << c.text << "\n  gives: " << ErrorOf(c.text) << "\n  not: " << c.error;
  }
}

TEST(ScenarioTest, AllErrorsComeAtOnce) {
  const std::string errors = ErrorOf("version: 2\nseed: x\ndomains:\n  - name: a\n    weight: 0\n");
  for (const char* place : {"s.yaml:1:10:", "s.yaml:2:7:", "s.yaml:5:13:"})
    EXPECT_TRUE(absl::StrContains(errors, place)) << errors;
}

TEST(ScenarioTest, CountWritesDomainsOut) {
  const auto scenario =
      ParseScenario("version: 1\ndomains: [{name: a, count: 3, vcpus: 2}]", "s.yaml");
  ASSERT_TRUE(scenario.ok()) << scenario.status();
  ASSERT_EQ(scenario->domains.size(), 3u);
  EXPECT_EQ(scenario->domains[2].name, "a-3");
}

class SimulationTest : public ::testing::Test {
 protected:
  static SimulationResult Run(const std::string& text, int costs = 100) {
    const auto scenario = ParseScenario(text, "s.yaml");
    EXPECT_TRUE(scenario.ok()) << scenario.status();
    auto simulation = Simulation::Create(*scenario, sim::Scaled(sim::Costs(), costs));
    EXPECT_TRUE(simulation.ok()) << simulation.status();
    return (*simulation)->Run();
  }
  static constexpr char kTwoSpinners[] =
      "version: 1\ntopology: \"numa:1 core:1 pu:2\"\ntime: 1s\n"
      "domains: [{name: a, vcpus: 2}, {name: b, vcpus: 2}]";
};

TEST_F(SimulationTest, TwoVmsThatComputeShareACoreByHalvesAndNeverMeet) {
  const SimulationResult r = Run(kTwoSpinners);
  ASSERT_EQ(r.domains.size(), 2u);
  EXPECT_EQ(r.shared.count(), 0);
  // Two CPUs for a second, less what agents, switches and the last turn took.
  const Duration both = r.domains[0].cpu_time + r.domains[1].cpu_time;
  EXPECT_GT(both, milliseconds(1960));
  EXPECT_LE(both, milliseconds(2000));
  EXPECT_LT(std::chrono::abs(r.domains[0].cpu_time - r.domains[1].cpu_time), milliseconds(60));
  EXPECT_GT(r.core_switches, 90u) << "10 ms each";
  EXPECT_LT(r.core_switches, 110u);
}

TEST_F(SimulationTest, TheSameSeedGivesTheSameBytes) {
  const std::string text =
      "version: 1\ntopology: \"numa:2 core:2 pu:2\"\ntime: 300ms\nseed: 7\ndomains:\n"
      "  - {name: mix, count: 4, vcpus: 3, load: {run: 1ms, sleep: 2ms}}\n"
      "  - {name: web, vcpus: 2, load: {every: 300us, service: 100us}}\n";
  const std::string first = ctl::SimulationJson(Run(text)).dump();
  EXPECT_EQ(first, ctl::SimulationJson(Run(text)).dump());
  std::string other = text;
  other.replace(other.find("seed: 7"), 7, "seed: 8");
  EXPECT_NE(first, ctl::SimulationJson(Run(other)).dump());
}

TEST_F(SimulationTest, CostsCost) {
  const SimulationResult cheap = Run(kTwoSpinners, 1), dear = Run(kTwoSpinners, 2000);
  EXPECT_GT(cheap.domains[0].work, dear.domains[0].work);
  EXPECT_LT(cheap.agent_time, dear.agent_time);
}

TEST_F(SimulationTest, RequestsAreServedAndNoneIsForgotten) {
  const SimulationResult r =
      Run("version: 1\ntopology: \"numa:1 core:2 pu:2\"\ntime: 2s\ndomains:\n"
          "  - {name: web, vcpus: 2, load: {every: 1ms, service: 100us}}\n");
  const Percentiles& p = r.domains[0].requests;
  EXPECT_GT(p.count, 1800u);
  EXPECT_LT(p.count, 2200u);
  EXPECT_LE(p.p50, p.p99);
  EXPECT_LE(p.p99, p.max);
  // On a machine of one's own a request takes its service, and little more.
  EXPECT_LT(p.p50, std::chrono::microseconds(150));
}

TEST_F(SimulationTest, ALockIsWaitedForLongerWhereItsHoldersLoseTheirCpus) {
  const std::string lock = "  - {name: lock, vcpus: 2, load: {compute: 100us, hold: 20us}}\n";
  const std::string head = "version: 1\ntopology: \"numa:1 core:1 pu:2\"\ntime: 2s\ndomains:\n";
  const Percentiles alone = Run(head + lock).domains[0].requests;
  const Percentiles beside =
      Run(head + lock + "  - {name: b, vcpus: 2, load: spin}\n").domains[0].requests;
  EXPECT_GT(alone.count, 5000u);
  EXPECT_GT(beside.count, 1000u);
  EXPECT_LT(alone.max, milliseconds(2));
  EXPECT_GT(beside.max, milliseconds(5)) << "who holds it loses the core for a tenure";
}

TEST_F(SimulationTest, ARelayTakesTurns) {
  const SimulationResult r =
      Run("version: 1\ntopology: \"numa:1 core:2 pu:2\"\ntime: 1s\ndomains:\n"
          "  - {name: relay, vcpus: 3, load: {relay: 100us}}\n");
  // One at a time: little more than one CPU's second in all.
  EXPECT_LT(r.domains[0].cpu_time, milliseconds(1010));
  EXPECT_GT(r.domains[0].requests.count, 8000u);
  EXPECT_GT(r.domains[0].requests.p50, std::chrono::microseconds(60));
}

TEST_F(SimulationTest, MemoryOfAnotherNodeIsSlower) {
  const auto work = [](const std::string& memory) {
    return Run("version: 1\ntopology: \"numa:2 core:1 pu:1\"\nhousekeeping: 1\ntime: 1s\n"
               "domains: [{name: a" +
               memory + "}]")
        .domains[0]
        .work.count();
  };
  EXPECT_EQ(work(", memory_node: 0"), work(""));
  EXPECT_NEAR(static_cast<double>(work(", memory_node: 1")),
              static_cast<double>(work("")) * sim::Costs().remote_speed / 1000,
              static_cast<double>(work("")) / 1000);
}

TEST_F(SimulationTest, WhatCannotBeIsRefused) {
  for (const auto& [text, error] :
       {std::pair("version: 1\ntopology: rubbish\ndomains: [{name: a}]", "no synthetic topology"),
        std::pair("version: 1\ntopology: /nowhere.xml\ndomains: [{name: a}]",
                  "no topology of hwloc"),
        std::pair("version: 1\ntopology: \"core:1 pu:2\"\nhousekeeping: 0\ndomains: [{name: a}]",
                  "takes every core"),
        std::pair("version: 1\ntopology: \"numa:2 core:1 pu:2\"\n"
                  "domains: [{name: a, memory_node: 2}]",
                  "memory_node 2 of domain a is not there; \"numa:2 core:1 pu:2\" has 2 nodes")}) {
    const auto scenario = ParseScenario(text, "s.yaml");
    ASSERT_TRUE(scenario.ok()) << scenario.status();
    const auto simulation = Simulation::Create(*scenario, {});
    ASSERT_FALSE(simulation.ok()) << text;
    EXPECT_TRUE(absl::StrContains(simulation.status().message(), error)) << simulation.status();
  }
}

TEST_F(SimulationTest, TheExamplesRun) {
  for (const char* name : {"web-and-batch", "overcommit", "large-host"}) {
    auto scenario = LoadScenario(std::string(CORRAL_EXAMPLES) + "/" + name + ".yaml");
    ASSERT_TRUE(scenario.ok()) << scenario.status();
    scenario->time = milliseconds(20);
    auto simulation = Simulation::Create(*scenario, {});
    ASSERT_TRUE(simulation.ok()) << simulation.status();
    EXPECT_EQ((*simulation)->Run().shared.count(), 0);
  }
}

}  // namespace
}  // namespace corral
