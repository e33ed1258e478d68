// SPDX-License-Identifier: Apache-2.0
// Corral beside what a user would pick instead. Run by tests/bench/peers in the test host: under
// emulation only ratios mean anything.
#include <sys/utsname.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>

#include "tests/bench/side_by_side/comparison.h"

namespace {

std::string Kernel() {
  utsname name;
  return uname(&name) == 0 ? name.release : "?";
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Corral beside other schedulers, under the same loads");
  corral::bench::ContenderPrograms programs = {.agent = CORRAL_AGENT_PROGRAM, .peers = ""};
  corral::bench::ComparisonOptions options;
  int milliseconds = 1000;
  std::string file;
  app.add_option("--json", file, "write the figures there, and not to the output");
  app.add_option("--agent", programs.agent, "corral-agent")->capture_default_str();
  app.add_option("--peers", programs.peers, "the folder that build-peers has filled");
  app.add_option("--rounds", options.rounds, "of all schedulers")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--milliseconds", milliseconds, "of each measurement")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--scheduler", options.schedulers, "these only, and the default one");
  app.add_option("--load", options.loads, "these only");
  CLI11_PARSE(app, argc, argv);
  options.time = std::chrono::milliseconds(milliseconds);
  options.progress = [](const std::string& what) { std::cerr << what << "\n"; };
  const auto figures = corral::bench::Compare(corral::bench::Contenders(programs), options);
  if (!figures.ok()) {
    std::cerr << figures.status() << "\n";
    return 1;
  }
  nlohmann::ordered_json json = {{"corral", CORRAL_VERSION}, {"kernel", Kernel()}};
  json.update(*figures);
  if (file.empty()) {
    std::cout << json.dump(2) << "\n";
  } else {
    std::ofstream(file) << json.dump(2) << "\n";
  }
  return 0;
}
