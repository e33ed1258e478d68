// SPDX-License-Identifier: Apache-2.0
// `corralctl policy set ENCLAVE POLICY`: another policy for an enclave, now, without any thread
// leaving the class.
//
// It asks corrald. A policy that cannot start, or does not take over, leaves the old one in charge.
// With --json it prints {"enclave", "policy"}; members may be added. Exit status: command.h.
#ifndef CORRAL_AGENT_CTL_POLICY_COMMAND_H_
#define CORRAL_AGENT_CTL_POLICY_COMMAND_H_

#include <CLI/App.hpp>

#include "agent/ctl/command.h"

namespace corral::ctl {

void AddPolicyCommand(CLI::App& app, Action& action);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_POLICY_COMMAND_H_
