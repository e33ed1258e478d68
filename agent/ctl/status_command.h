// SPDX-License-Identifier: Apache-2.0
// `corralctl status`: is the class in charge, who decides, which VMs are in it. `corralctl cores`:
// who runs where, now.
//
//   corralctl status [--json]
//   corralctl cores [--json] [--watch] [--interval 500ms] [--count N]
//
// Both read the class's own memory, so they tell the truth with corrald and every agent dead. Exit
// status: command.h; status also fails (1) when the class is not loaded or was ejected.
#ifndef CORRAL_AGENT_CTL_STATUS_COMMAND_H_
#define CORRAL_AGENT_CTL_STATUS_COMMAND_H_

#include <CLI/App.hpp>

#include "agent/ctl/command.h"

namespace corral::ctl {

void AddStatusCommand(CLI::App& app, Action& action);
void AddCoresCommand(CLI::App& app, Action& action);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_STATUS_COMMAND_H_
