// SPDX-License-Identifier: Apache-2.0
// What docs/architecture.md says that simulation says: each figure is computed again, with half of
// all costs, with the usual ones and with one and a half times, and must stand there to the digit.
// A claim says where it holds, and where it does not.
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tests/sim/baselines/baselines.h"
#include "tests/sim/comparison.h"

namespace corral {
namespace {

constexpr int kCosts[] = {50, 100, 150};  // percent

Scenario Of(const std::string& text) { return ParseScenario(text, "published").value(); }

// 32 CPUs, and as many VMs as compute on all of them twice over.
Scenario Computing(int vms, int vcpus) {
  return Of(
      absl::StrFormat("{version: 1, topology: 'numa:2 core:8 pu:2', time: 2s,"
                      " domains: [{name: vm, count: %d, vcpus: %d}]}",
                      vms, vcpus));
}

Scenario OneLargeVm() {
  return Of(
      "{version: 1, topology: 'numa:1 core:25 pu:2', time: 2s, domains: [{name: vm, vcpus: 32}]}");
}

// Web servers that need a third of the machine, and VMs that would have all of it.
Scenario WebAndBatch() {
  return Of(
      "{version: 1, topology: 'numa:2 core:4 pu:2', time: 4s, domains:"
      " [{name: web, count: 8, vcpus: 2, load: {every: 500us, service: 150us}},"
      "  {name: batch, count: 4, vcpus: 4, load: spin}]}");
}

// VMs that sleep half of the time, each with as many vCPUs as a core has siblings.
Scenario Sleeping(const char* sharing) {
  return Of(
      absl::StrFormat("{version: 1, topology: 'numa:2 core:8 pu:2', time: 2s,"
                      " policy: secure_vm, options: {sharing: '%s'},"
                      " domains: [{name: vm, count: 32, vcpus: 2, load: {run: 2ms, sleep: 2ms}}]}",
                      sharing));
}

std::unique_ptr<baselines::Scheduler> Fair(const sim::Costs& costs) {
  return baselines::FairPerCpu(
      {.context_switch = costs.context_switch, .core_migration = costs.core_migration});
}

std::unique_ptr<baselines::Scheduler> IdealCores(const sim::Costs& costs) {
  return baselines::IdealCoreScheduler(
      {.tenure = std::chrono::milliseconds(10), .switch_cost = costs.context_switch});
}

// Work done under secure_vm, as part of what `other` gets done.
template <typename Make>
double WorkRatio(const Scenario& scenario, const sim::Costs& costs, const Make& other) {
  const Outcome ours = RunPolicy(scenario, costs);
  const Outcome theirs = RunBaseline(scenario, costs, other(costs));
  return static_cast<double>(ours.work.count()) / static_cast<double>(theirs.work.count());
}

double SharingRatio(const sim::Costs& costs) {
  return static_cast<double>(RunPolicy(Sleeping("machine"), costs).work.count()) /
         static_cast<double>(RunPolicy(Sleeping("off"), costs).work.count());
}

// Two vCPUs for each CPU, all of which do the same.
Scenario Crowded(const char* topology, int vms, const char* load) {
  return Of(
      absl::StrFormat("{version: 1, topology: '%s', time: 1s,"
                      " domains: [{name: vm, count: %d, vcpus: 4, load: %s}]}",
                      topology, vms, load));
}

// Of the CPUs' time, in percent.
double AgentShare(const Scenario& scenario, const sim::Costs& costs) {
  const Outcome outcome = RunPolicy(scenario, costs);
  return 100 * static_cast<double>(outcome.agent_time.count()) /
         static_cast<double>(outcome.supply.count());
}

double P99InMs(const Outcome& outcome) { return static_cast<double>(outcome.p99.count()) / 1e6; }

struct Figure {
  const char* name;
  std::function<double(const sim::Costs&)> compute;
  // The claim: not less than `least`, or, if that is 0, none.
  double least = 0;
};

std::vector<Figure> Figures() {
  const auto ratio = [](const Scenario& scenario, auto make) {
    return [=](const sim::Costs& costs) { return WorkRatio(scenario, costs, make); };
  };
  const auto agents = [](const Scenario& scenario) {
    return [=](const sim::Costs& costs) { return AgentShare(scenario, costs); };
  };
  const Scenario web = WebAndBatch();
  return {
      {"work / ideal core scheduler's: 16 VMs of 4", ratio(Computing(16, 4), IdealCores), 0.97},
      {"work / ideal core scheduler's: 21 VMs of 3", ratio(Computing(21, 3), IdealCores), 0.97},
      {"work / ideal core scheduler's: 1 VM of 32", ratio(OneLargeVm(), IdealCores), 0.98},
      {"work / fair scheduler's: 16 VMs of 4", ratio(Computing(16, 4), Fair)},
      {"work / fair scheduler's: 21 VMs of 3", ratio(Computing(21, 3), Fair)},
      {"work with sharing / without: 32 VMs of 2", SharingRatio},
      {"work / ideal core scheduler's: 32 VMs of 2", ratio(Sleeping("machine"), IdealCores)},
      {"agents, % of time: 112 CPUs, computing",
       agents(Crowded("numa:2 core:28 pu:2", 56, "spin"))},
      {"agents, % of time: 256 CPUs, computing",
       agents(Crowded("numa:4 core:32 pu:2", 128, "spin"))},
      {"agents, % of time: 256 CPUs, 1 ms each",
       agents(Crowded("numa:4 core:32 pu:2", 128, "{run: 1ms, sleep: 1ms}"))},
      {"web p99, ms: secure_vm", [=](const auto& costs) { return P99InMs(RunPolicy(web, costs)); }},
      {"web p99, ms: ideal core scheduler",
       [=](const auto& costs) { return P99InMs(RunBaseline(web, costs, IdealCores(costs))); }},
      {"web p99, ms: fair scheduler",
       [=](const auto& costs) { return P99InMs(RunBaseline(web, costs, Fair(costs))); }},
  };
}

std::string Verdict(const Figure& figure, const std::vector<double>& values) {
  if (figure.least == 0) return "";
  std::vector<std::string> fails;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] < figure.least) fails.push_back(absl::StrFormat("%d %%", kCosts[i]));
  }
  return absl::StrFormat(
      "  >= %.2f %s", figure.least,
      fails.empty() ? "holds" : absl::StrFormat("fails at %s", absl::StrJoin(fails, ", ")));
}

TEST(Published, EachFigureOfTheDocumentIsComputedAgain) {
  std::ifstream file(CORRAL_DOCUMENT);
  std::stringstream document;
  document << file.rdbuf();
  for (const Figure& figure : Figures()) {
    std::vector<double> values;
    for (const int percent : kCosts)
      values.push_back(figure.compute(sim::Scaled(sim::Costs(), percent)));
    const std::string line =
        absl::StrFormat("    %-44s %6.3f %6.3f %6.3f%s", figure.name, values[0], values[1],
                        values[2], Verdict(figure, values));
    printf("%s\n", line.c_str());
    EXPECT_NE(document.str().find(line + "\n"), std::string::npos)
        << "docs/architecture.md does not have this line:\n"
        << line;
  }
}

}  // namespace
}  // namespace corral
