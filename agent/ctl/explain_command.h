// SPDX-License-Identifier: Apache-2.0
// corralctl explain DOMAIN: why its vCPUs wait. corralctl cost: what isolation costs each domain.
#ifndef CORRAL_AGENT_CTL_EXPLAIN_COMMAND_H_
#define CORRAL_AGENT_CTL_EXPLAIN_COMMAND_H_

#include <CLI/CLI.hpp>

#include "agent/ctl/command.h"

namespace corral::ctl {

void AddExplainCommand(CLI::App& app, Action& action);
void AddCostCommand(CLI::App& app, Action& action);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_EXPLAIN_COMMAND_H_
