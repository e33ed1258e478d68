// SPDX-License-Identifier: Apache-2.0
// `corralctl simulate` for the policies that this program is linked with, and nothing else of
// corralctl: authors of policies need no libvirt for it.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <string>

#include "agent/ctl/simulate_output.h"
#include "agent/simulate/scenario.h"
#include "agent/simulate/simulation.h"

namespace corral::ctl {
namespace {

absl::StatusOr<SimulationResult> Simulate(const std::string& file) {
  const absl::StatusOr<Scenario> scenario = LoadScenario(file);
  if (!scenario.ok()) return scenario.status();
  const absl::StatusOr<std::unique_ptr<Simulation>> simulation =
      Simulation::Create(*scenario, sim::Costs());
  if (!simulation.ok()) return simulation.status();
  return (*simulation)->Run();
}

}  // namespace
}  // namespace corral::ctl

int main(int argc, char** argv) {
  std::string scenario;
  bool json = false;
  CLI::App app("What VMs would get from a policy, on a machine that need not exist.");
  app.add_option("SCENARIO", scenario, "A YAML file: corralctl(1), \"simulate\"")
      ->type_name("FILE")
      ->required();
  app.add_flag("--json", json, "Machine-readable");
  CLI11_PARSE(app, argc, argv);
  const absl::StatusOr<corral::SimulationResult> result = corral::ctl::Simulate(scenario);
  if (!result.ok()) {
    std::cerr << argv[0] << ": " << result.status().message() << "\n";
    return 1;
  }
  if (json) {
    std::cout << corral::ctl::SimulationJson(*result).dump(2) << "\n";
  } else {
    std::cout << corral::ctl::SimulationText(*result);
  }
  return 0;
}
