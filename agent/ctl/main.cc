// SPDX-License-Identifier: Apache-2.0
// corralctl: the operator's command. Each subcommand lives in a file of its own; commands.cc adds
// them.
#include <CLI/CLI.hpp>

#include "agent/ctl/commands.h"

int main(int argc, char** argv) {
  using namespace corral::ctl;
  Action action;
  const std::unique_ptr<CLI::App> app = MakeCommandLine(action);
  try {
    app->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app->exit(error) == 0 ? kOk : kUsage;
  }
  return action();
}
