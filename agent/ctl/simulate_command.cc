// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/simulate_command.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/ctl/simulate_output.h"
#include "agent/ctl/simulate_report.h"
#include "agent/simulate/scenario.h"
#include "agent/simulate/simulation.h"
#include "agent/simulate/timeline.h"

namespace corral::ctl {
namespace {

struct SimulateOptions {
  std::string scenario;
  std::string topology;
  std::optional<uint64_t> seed;
  int costs = 100;
  bool sensitivity = false;
  bool json = false;
  std::string perfetto;
  std::string svg;
  std::string report;
  std::string window = "50ms";
};

absl::Status Write(const std::string& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary);
  out << text << std::flush;
  if (out) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("cannot write ", file, ": ", strerror(errno), "; give a file that can be"));
}

absl::Status WritePictures(const SimulateOptions& options, const Simulation& simulation,
                           const Timeline& timeline) {
  Timeline::VmNames names;
  for (const std::string& name : simulation.domain_names())
    names[static_cast<uint32_t>(names.size() + 1)] = name;
  if (!options.perfetto.empty()) {
    if (const absl::Status status = Write(options.perfetto, timeline.Perfetto(names)); !status.ok())
      return status;
  }
  if (options.svg.empty()) return absl::OkStatus();
  const absl::StatusOr<Duration> window = ParseDuration(options.window);
  if (!window.ok()) return absl::InvalidArgumentError(window.status().message());
  const Time from = timeline.begin();
  return Write(options.svg, timeline.Svg({.title = options.scenario,
                                          .from = from,
                                          .to = std::min(from + *window, timeline.end()),
                                          .vm_names = names}));
}

absl::Status WriteReport(const SimulateOptions& options, const Scenario& scenario,
                         Simulation& simulation) {
  const absl::StatusOr<std::string> page =
      SimulationReport(SampleRun(simulation, scenario.time), options.scenario);
  return page.ok() ? Write(options.report, *page) : page.status();
}

absl::StatusOr<SimulationResult> Simulate(const SimulateOptions& options, const Scenario& scenario,
                                          int percent, bool pictures) {
  const absl::StatusOr<std::unique_ptr<Simulation>> simulation =
      Simulation::Create(scenario, sim::Scaled(sim::Costs(), percent));
  if (!simulation.ok()) return simulation.status();
  if (!pictures) return (*simulation)->Run();
  Timeline timeline((*simulation)->machine());
  (*simulation)->Observe(&timeline);
  if (!options.report.empty()) {
    // Samples are taken while it goes on, and Run() finds nothing left to do.
    if (const absl::Status status = WriteReport(options, scenario, **simulation); !status.ok())
      return status;
  }
  SimulationResult result = (*simulation)->Run();
  if (const absl::Status status = WritePictures(options, **simulation, timeline); !status.ok())
    return status;
  return result;
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
    const bool pictures = runs.empty() && !(options.perfetto.empty() && options.svg.empty() &&
                                            options.report.empty());
    absl::StatusOr<SimulationResult> result = Simulate(options, *scenario, percent, pictures);
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
  command->add_option("SCENARIO", options->scenario, "A YAML file: corralctl(1)")
      ->type_name("FILE")
      ->required();
  command->add_option("--topology", options->topology,
                      "Another machine: hwloc's notation, or a file.xml of lstopo's");
  command->add_option("--seed", options->seed, "Another course of chance");
  command->add_option("--costs", options->costs, "All costs, in percent of the usual ones")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command->add_flag("--sensitivity", options->sensitivity,
                    "Repeat with half of all costs, and with one and a half times");
  command
      ->add_option("--perfetto", options->perfetto,
                   "Write who ran where to this file, for ui.perfetto.dev")
      ->type_name("FILE");
  command->add_option("--svg", options->svg, "Write a picture of the cores to this file")
      ->type_name("FILE");
  command->add_option("--window", options->window, "How much of the time the picture shows")
      ->capture_default_str();
  command
      ->add_option("--report", options->report,
                   "Write the page that corralctl report makes of a host to this file")
      ->type_name("FILE");
  command->add_flag("--json", options->json, "Machine-readable");
  command->footer("Example: corralctl simulate web-and-batch.yaml --sensitivity\n");
  command->callback([&action, options] { action = [options] { return RunSimulate(*options); }; });
}

}  // namespace corral::ctl
