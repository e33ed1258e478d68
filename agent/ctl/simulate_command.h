// SPDX-License-Identifier: Apache-2.0
// corralctl simulate: what a host would do, on a machine that need not exist.
#ifndef CORRAL_AGENT_CTL_SIMULATE_COMMAND_H_
#define CORRAL_AGENT_CTL_SIMULATE_COMMAND_H_

#include <CLI/CLI.hpp>

#include "agent/ctl/command.h"

namespace corral::ctl {

void AddSimulateCommand(CLI::App& app, Action& action);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_SIMULATE_COMMAND_H_
