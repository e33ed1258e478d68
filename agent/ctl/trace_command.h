// SPDX-License-Identifier: Apache-2.0
// corralctl trace, and what explain tells of a single thread.
#ifndef CORRAL_AGENT_CTL_TRACE_COMMAND_H_
#define CORRAL_AGENT_CTL_TRACE_COMMAND_H_

#include <CLI/CLI.hpp>

#include "agent/ctl/command.h"

namespace corral::ctl {

void AddTraceCommand(CLI::App& app, Action& action);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_TRACE_COMMAND_H_
