// SPDX-License-Identifier: Apache-2.0
// corralctl: the operator's command. Each subcommand lives in a file of its own and adds itself
// here.
#include <CLI/CLI.hpp>

#include "agent/ctl/admit_command.h"
#include "agent/ctl/audit_command.h"
#include "agent/ctl/check_command.h"
#include "agent/ctl/command.h"
#include "agent/ctl/config_command.h"
#include "agent/ctl/domains_command.h"
#include "agent/ctl/explain_command.h"
#include "agent/ctl/mode_command.h"
#include "agent/ctl/policy_command.h"
#include "agent/ctl/release_command.h"
#include "agent/ctl/simulate_command.h"
#include "agent/ctl/status_command.h"

int main(int argc, char** argv) {
  using namespace corral::ctl;
  CLI::App app("Controls and observes Corral, which keeps virtual machines off each other's cores.",
               "corralctl");
  app.require_subcommand(1);
  Action action;
  AddStatusCommand(app, action);
  AddCoresCommand(app, action);
  AddDomainsCommand(app, action);
  AddExplainCommand(app, action);
  AddCostCommand(app, action);
  AddPolicyCommand(app, action);
  AddRunCommand(app, action);
  AddAuditCommand(app, action);
  AddCheckCommand(app, action);
  AddConfigCommand(app, action);
  AddEnableCommand(app, action);
  AddDisableCommand(app, action);
  AddReleaseCommand(app, action);
  AddAdmitCommand(app, action);
  AddSimulateCommand(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kUsage;
  }
  return action();
}
