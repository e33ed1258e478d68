// SPDX-License-Identifier: Apache-2.0
// corralctl domains: the VMs, what the operator said of each and where, and what they have.
#ifndef CORRAL_AGENT_CTL_DOMAINS_COMMAND_H_
#define CORRAL_AGENT_CTL_DOMAINS_COMMAND_H_

#include <CLI/CLI.hpp>
#include <string>

#include "agent/ctl/command.h"
#include "agent/views/vm_view.h"

namespace corral::ctl {

void AddDomainsCommand(CLI::App& app, Action& action);

// A line for each VM; 80 columns. For one VM, everything about it.
std::string Table(const VmsView& view);
std::string Details(const VmView& vm);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_DOMAINS_COMMAND_H_
