// SPDX-License-Identifier: Apache-2.0
// corral-class: loads the scheduling class for the machine it runs on, takes it out again, or takes
// over from one of another release, for corrald. The body of corral-class.service.
//
// Exit codes: 0 done; 1 refused or failed, with one line that says why and what to do; 2 wrong
// usage.
#include <cstdio>
#include <map>
#include <string>

#include <CLI/CLI.hpp>

#include "agent/class/class_successor.h"
#include "agent/class/load_class.h"
#include "agent/daemon/control_socket.h"

namespace {

int Fail(const absl::Status& status) {
  fprintf(stderr, "corral-class: %s\n", std::string(status.message()).c_str());
  return 1;
}

int Start(const corral::ClassSizes& sizes) {
  const absl::Status status = corral::LoadClassHere(sizes);
  return status.ok() ? 0 : Fail(status);
}

void AddSizes(CLI::App* command, corral::ClassSizes& sizes) {
  command->add_option("--tasks", sizes.tasks, "how many threads the class can hold")
      ->check(CLI::Range(64, 65536))
      ->capture_default_str();
  command->add_option("--domains", sizes.domains, "how many trust domains")
      ->check(CLI::Range(8, 65535))
      ->capture_default_str();
  command
      ->add_option(
          "--scope", sizes.whole_host,
          "whose threads are in the class: those of VMs and others that corral.yaml names, "
          "or all of the host's")
      ->transform(CLI::Transformer(std::map<std::string, bool>{{"vms", false}, {"host", true}}))
      ->default_str("vms");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Loads Corral's scheduling class into the kernel, or takes it out");
  app.require_subcommand(1);
  corral::ClassSizes sizes;
  CLI::App* const start =
      app.add_subcommand("start", "load the class and pin it; no thread is touched");
  AddSizes(start, sizes);
  app.add_subcommand("stop", "give every thread back to its former policy and remove the class");
  corral::SuccessorOptions successor;
  CLI::App* const replace = app.add_subcommand(
      "replace", "take over from the class that is in charge; corrald runs this and talks to it");
  replace->add_option("--folder", successor.folder, "corrald's runtime folder")->required();
  replace->add_option("--present", successor.present, "which class is loaded")->required();
  AddSizes(replace, successor.sizes);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (start->parsed()) return Start(sizes);
  if (replace->parsed()) {
    const absl::Status replaced = corral::SucceedClass(successor);
    return replaced.ok() ? 0 : Fail(replaced);
  }
  const absl::Status status = corral::UnloadClass();
  corral::AbandonHandover(corral::kRuntimeDir);
  return status.ok() ? 0 : Fail(status);
}
