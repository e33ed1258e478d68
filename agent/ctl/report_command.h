// SPDX-License-Identifier: Apache-2.0
// `corralctl report`: what the last hours came to, as one page of HTML.
//
//   corralctl report [--last TIME] [--output FILE] [--samples FILE]
//
// Reads the samples that corrald has recorded, and needs neither corrald nor the class. Exit
// status: agent/ctl/command.h.
#ifndef CORRAL_AGENT_CTL_REPORT_COMMAND_H_
#define CORRAL_AGENT_CTL_REPORT_COMMAND_H_

#include <CLI/App.hpp>

#include "agent/ctl/command.h"

namespace corral::ctl {

void AddReportCommand(CLI::App& app, Action& action);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_REPORT_COMMAND_H_
