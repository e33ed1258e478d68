// SPDX-License-Identifier: Apache-2.0
// `corralctl check`: before anything is changed, can this host run Corral? With --kernel or
// --image: could an installed kernel, which is not running?
//
//   corralctl check [--kernel VERSION | --image FILE] [--config FILE] [--json]
//
// Reads only. Exit status: command.h; 0 if nothing fails, 1 if something does.
#ifndef CORRAL_AGENT_CTL_CHECK_COMMAND_H_
#define CORRAL_AGENT_CTL_CHECK_COMMAND_H_

#include <CLI/App.hpp>

#include "agent/ctl/command.h"

namespace corral::ctl {

void AddCheckCommand(CLI::App& app, Action& action);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_CHECK_COMMAND_H_
