// SPDX-License-Identifier: Apache-2.0
// `corralctl bugreport`: everything that a maintainer asks for first, in one file, with whatever is
// broken left out and said so.
//
//   corralctl bugreport [--output FILE.tar.gz]
//
// It changes nothing, and asks neither libvirt nor the network. Exit status: command.h.
#ifndef CORRAL_AGENT_CTL_BUGREPORT_COMMAND_H_
#define CORRAL_AGENT_CTL_BUGREPORT_COMMAND_H_

#include <CLI/App.hpp>

#include "agent/ctl/command.h"

namespace corral::ctl {

void AddBugreportCommand(CLI::App& app, Action& action);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_BUGREPORT_COMMAND_H_
