// SPDX-License-Identifier: Apache-2.0
// `corralctl run --enclave NAME -- COMMAND...`: a program, unmodified, under Corral from its first
// instruction on; its threads and children follow.
//
// corrald attaches this process, which then becomes the command, so that nothing stands between the
// command and its caller: signals, the terminal, its exit status. Nothing is run that could not be
// attached. Exit status: the command's own; before that command.h, 127 if there is no such program,
// 126 if it cannot be executed.
#ifndef CORRAL_AGENT_CTL_RUN_COMMAND_H_
#define CORRAL_AGENT_CTL_RUN_COMMAND_H_

#include <CLI/App.hpp>

#include "agent/ctl/command.h"

namespace corral::ctl {

void AddRunCommand(CLI::App& app, Action& action);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_RUN_COMMAND_H_
