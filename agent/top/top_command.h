// SPDX-License-Identifier: Apache-2.0
// `corralctl top`: which VM is on which sibling, and what each does with its time, now.
//
//   corralctl top [--interval MILLISECONDS] [--once]
//
// Reads the class's memory and disturbs nothing. Exit status: agent/ctl/command.h.
#ifndef CORRAL_AGENT_TOP_TOP_COMMAND_H_
#define CORRAL_AGENT_TOP_TOP_COMMAND_H_

#include <CLI/App.hpp>

#include "agent/ctl/command.h"

namespace corral::ctl {

void AddTopCommand(CLI::App& app, Action& action);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_TOP_TOP_COMMAND_H_
