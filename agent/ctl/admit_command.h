// SPDX-License-Identifier: Apache-2.0
// `corralctl admit DOMAIN OPERATION SUB-OPERATION EXTRA`: what libvirt's hook asks before a VM
// starts, with the VM's XML on stdin. Calls no libvirt, which waits for the answer.
//
// Exit status: 0, it may; 1, it may not, with one line on stderr that virsh prints. Everything but
// "prepare" is allowed, and so is everything where nobody asked for strict admission.
#ifndef CORRAL_AGENT_CTL_ADMIT_COMMAND_H_
#define CORRAL_AGENT_CTL_ADMIT_COMMAND_H_

#include <CLI/App.hpp>

#include "agent/ctl/command.h"

namespace corral::ctl {

void AddAdmitCommand(CLI::App& app, Action& action);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_ADMIT_COMMAND_H_
