// SPDX-License-Identifier: Apache-2.0
#include "agent/selftest/selftest_command.h"

#include <algorithm>
#include <iostream>
#include <memory>

#include "agent/daemon/agent_launcher.h"
#include "agent/selftest/selftest.h"

namespace corral::ctl {
namespace {

struct Options {
  std::string cpus;
  std::string agent;
  int seconds = 30;
  bool json = false;
};

int RunTest(const Options& options) {
  SelftestOptions selftest;
  if (!options.cpus.empty()) {
    const absl::StatusOr<CpuSet> cpus = CpuSet::Parse(options.cpus);
    if (!cpus.ok()) return Fail(cpus.status());
    selftest.stage.cpus = *cpus;
  }
  selftest.stage.agent_program = options.agent.empty() ? InstalledAgent() : options.agent;
  selftest.corral = std::chrono::seconds(options.seconds);
  selftest.before = selftest.corral / 3;
  selftest.say = [](const std::string& line) { std::cerr << line << std::endl; };
  const absl::StatusOr<SelftestFigures> figures = RunSelftest(selftest);
  if (!figures.ok()) return Fail(figures.status());
  if (options.json) {
    Print(SelftestJson(*figures));
  } else {
    std::cout << SelftestText(*figures);
  }
  const std::vector<SelftestCondition> conditions = Judge(*figures);
  const bool holds = std::all_of(conditions.begin(), conditions.end(),
                                 [](const SelftestCondition& c) { return c.holds; });
  if (figures->corral.cross_vm > Duration(0) || figures->breaches > 0) return kBreach;
  return holds ? kOk : kIncomplete;
}

}  // namespace

void AddSelftestCommand(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand(
      "selftest", "See on this machine, with throwaway threads, that Corral isolates; a minute");
  const auto options = std::make_shared<Options>();
  command->add_option("--cpus", options->cpus, "Whole cores to test on; default: two cores")
      ->type_name("CPULIST");
  command->add_option("--agent", options->agent, "The agent's program; default: the installed one")
      ->type_name("FILE");
  command
      ->add_option("--seconds", options->seconds,
                   "How long to look at Corral; at the default scheduler, a third of that")
      ->check(CLI::Range(6, 86400))
      ->capture_default_str();
  command->add_flag("--json", options->json, "Machine-readable");
  command->footer("Example: corralctl selftest --cpus 4-7\n");
  command->callback([&action, options] { action = [options] { return RunTest(*options); }; });
}

}  // namespace corral::ctl
