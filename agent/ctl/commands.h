// SPDX-License-Identifier: Apache-2.0
// corralctl's command line as a whole: for main, and for whatever is made from it, as the shells'
// completions are.
#ifndef CORRAL_AGENT_CTL_COMMANDS_H_
#define CORRAL_AGENT_CTL_COMMANDS_H_

#include <CLI/App.hpp>
#include <memory>

#include "agent/ctl/command.h"

namespace corral::ctl {

// `action` is set when the command line is parsed, and must outlive the result.
std::unique_ptr<CLI::App> MakeCommandLine(Action& action);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_COMMANDS_H_
