// SPDX-License-Identifier: Apache-2.0
// `corralctl upgrade`: agents, and corrald, of the programs that are installed now take over from
// those that run, while VMs go on.
//
// It asks corrald, as `policy set` does, and a new agent is on trial just so. With --json it prints
// {"enclaves": [{"enclave", "upgraded"}], "corrald": {"upgraded"}}; members may be added. Exit
// status: command.h.
#ifndef CORRAL_AGENT_CTL_UPGRADE_COMMAND_H_
#define CORRAL_AGENT_CTL_UPGRADE_COMMAND_H_

#include <CLI/App.hpp>

#include "agent/ctl/command.h"

namespace corral::ctl {

void AddUpgradeCommand(CLI::App& app, Action& action);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_UPGRADE_COMMAND_H_
