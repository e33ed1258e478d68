// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/commands.h"

#include "agent/ctl/admit_command.h"
#include "agent/ctl/audit_command.h"
#include "agent/ctl/bugreport_command.h"
#include "agent/ctl/check_command.h"
#include "agent/ctl/config_command.h"
#include "agent/ctl/domains_command.h"
#include "agent/ctl/explain_command.h"
#include "agent/ctl/help_formatter.h"
#include "agent/ctl/mode_command.h"
#include "agent/ctl/policy_command.h"
#include "agent/ctl/release_command.h"
#include "agent/ctl/report_command.h"
#include "agent/ctl/run_command.h"
#include "agent/ctl/simulate_command.h"
#include "agent/ctl/status_command.h"
#include "agent/ctl/trace_command.h"
#include "agent/ctl/upgrade_command.h"
#include "agent/metrics/metrics_command.h"
#include "agent/selftest/selftest_command.h"
#include "agent/top/top_command.h"

namespace corral::ctl {

std::unique_ptr<CLI::App> MakeCommandLine(Action& action) {
  auto app = std::make_unique<CLI::App>(
      "Controls and observes Corral, which keeps VMs off each other's cores.", "corralctl");
  app->formatter(std::make_shared<HelpFormatter>());
  app->set_version_flag("--version", "corralctl " CORRAL_VERSION, "Print the version");
  app->require_subcommand(1);
  app->footer("corralctl SUBCOMMAND --help tells more, and gives an example.\n");
  AddStatusCommand(*app, action);
  AddTopCommand(*app, action);
  AddCoresCommand(*app, action);
  AddDomainsCommand(*app, action);
  AddExplainCommand(*app, action);
  AddCostCommand(*app, action);
  AddTraceCommand(*app, action);
  AddPolicyCommand(*app, action);
  AddUpgradeCommand(*app, action);
  AddRunCommand(*app, action);
  AddAuditCommand(*app, action);
  AddMetricsCommand(*app, action);
  AddReportCommand(*app, action);
  AddCheckCommand(*app, action);
  AddSelftestCommand(*app, action);
  AddEnableCommand(*app, action);
  AddDisableCommand(*app, action);
  AddConfigCommand(*app, action);
  AddReleaseCommand(*app, action);
  AddAdmitCommand(*app, action);
  AddSimulateCommand(*app, action);
  AddBugreportCommand(*app, action);
  return app;
}

}  // namespace corral::ctl
