// SPDX-License-Identifier: Apache-2.0
// corral-class: loads the scheduling class for the machine it runs on, or takes it out again. The
// body of corral-class.service.
//
// Exit codes: 0 done; 1 refused or failed, with one line that says why and what to do; 2 wrong
// usage.
#include <cstdio>

#include <CLI/CLI.hpp>

#include "agent/daemon/load_class.h"

namespace {

int Fail(const absl::Status& status) {
  fprintf(stderr, "corral-class: %s\n", std::string(status.message()).c_str());
  return 1;
}

int Start(const corral::ClassSizes& sizes) {
  const absl::Status status = corral::LoadClassHere(sizes);
  return status.ok() ? 0 : Fail(status);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Loads Corral's scheduling class into the kernel, or takes it out");
  app.require_subcommand(1);
  corral::ClassSizes sizes;
  CLI::App* const start =
      app.add_subcommand("start", "load the class and pin it; no thread is touched");
  start->add_option("--tasks", sizes.tasks, "how many threads the class can hold")
      ->check(CLI::Range(64, 65536))
      ->capture_default_str();
  start->add_option("--domains", sizes.domains, "how many trust domains")
      ->check(CLI::Range(8, 65535))
      ->capture_default_str();
  app.add_subcommand("stop", "give every thread back to its former policy and remove the class");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (start->parsed()) return Start(sizes);
  const absl::Status status = corral::UnloadClass();
  return status.ok() ? 0 : Fail(status);
}
