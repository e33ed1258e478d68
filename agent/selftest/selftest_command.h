// SPDX-License-Identifier: Apache-2.0
// corralctl selftest.
#ifndef CORRAL_AGENT_SELFTEST_SELFTEST_COMMAND_H_
#define CORRAL_AGENT_SELFTEST_SELFTEST_COMMAND_H_

#include <CLI/CLI.hpp>

#include "agent/ctl/command.h"

namespace corral::ctl {

void AddSelftestCommand(CLI::App& app, Action& action);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_SELFTEST_SELFTEST_COMMAND_H_
