// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/simulate_command.h"

#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/ctl/simulate_output.h"
#include "agent/simulate/scenario.h"
#include "agent/simulate/simulation.h"

namespace corral::ctl {
namespace {

struct SimulateOptions {
  std::string scenario;
  std::string topology;
  std::optional<uint64_t> seed;
  int costs = 100;
  bool sensitivity = false;
  bool json = false;
};

absl::StatusOr<SimulationResult> Simulate(const Scenario& scenario, int percent) {
  const absl::StatusOr<std::unique_ptr<Simulation>> simulation =
      Simulation::Create(scenario, sim::Scaled(sim::Costs(), percent));
  if (!simulation.ok()) return simulation.status();
  return (*simulation)->Run();
}

int RunSimulate(const SimulateOptions& options) {
  absl::StatusOr<Scenario> scenario = LoadScenario(options.scenario);
  if (!scenario.ok()) return Fail(scenario.status());
  if (!options.topology.empty()) scenario->topology = options.topology;
  if (options.seed) scenario->seed = *options.seed;
  std::vector<int> percents = {options.costs};
  if (options.sensitivity) percents = {options.costs, options.costs / 2, options.costs * 3 / 2};
  std::vector<SimulatedCosts> runs;
  for (const int percent : percents) {
    absl::StatusOr<SimulationResult> result = Simulate(*scenario, percent);
    if (!result.ok()) return Fail(result.status());
    runs.push_back({percent, *std::move(result)});
  }
  if (options.json) {
    nlohmann::json json = SimulationJson(runs.front().result);
    for (size_t i = 1; i < runs.size(); ++i) {
      json["sensitivity"].push_back(
          {{"costs_percent", runs[i].percent}, {"result", SimulationJson(runs[i].result)}});
    }
    std::cout << json.dump(2) << "\n";
    return kOk;
  }
  std::cout << SimulationText(runs.front().result);
  if (runs.size() > 1) std::cout << SensitivityText(runs);
  return kOk;
}

}  // namespace

void AddSimulateCommand(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand(
      "simulate", "What VMs would get on a machine that need not exist; needs no root");
  const auto options = std::make_shared<SimulateOptions>();
  command->add_option("SCENARIO", options->scenario, "A YAML file: corralctl(1)")->required();
  command->add_option("--topology", options->topology,
                      "Another machine: hwloc's notation, or a file.xml of lstopo's");
  command->add_option("--seed", options->seed, "Another course of chance");
  command->add_option("--costs", options->costs, "All costs, in percent of the usual ones")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command->add_flag("--sensitivity", options->sensitivity,
                    "Repeat with half of all costs, and with one and a half times");
  command->add_flag("--json", options->json, "Machine-readable");
  command->footer("Example: corralctl simulate web-and-batch.yaml --sensitivity\n");
  command->callback([&action, options] { action = [options] { return RunSimulate(*options); }; });
}

}  // namespace corral::ctl
