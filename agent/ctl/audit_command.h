// SPDX-License-Identifier: Apache-2.0
// `corralctl audit`: for how long did siblings of a core run different VMs? Under any scheduler,
// with or without Corral.
//
//   corralctl audit [--duration 10s] [--pid PID...] [--exec-name NAME...] [--json]
//   [--fail-on-breach[=any|enforced]] corralctl audit start [--pid PID...] [--exec-name NAME...]
//   from now on, in the background corralctl audit read [--json] [--fail-on-breach[=any|enforced]]
//   corralctl audit reset                                           forget the figures, go on
//   corralctl audit stop
//
// --pid makes a process, whatever it is, a VM all of whose threads are vCPUs; --exec-name adds to
// the beginnings of file names that make an executable a VM. A breach is vCPUs of two VMs on one
// core at once: with `any`, which is the default, at all; with `enforced` only while both were
// enrolled in Corral (policy SCHED_EXT). Exit status: command.h.
#ifndef CORRAL_AGENT_CTL_AUDIT_COMMAND_H_
#define CORRAL_AGENT_CTL_AUDIT_COMMAND_H_

#include <CLI/App.hpp>

#include "agent/ctl/command.h"

namespace corral::ctl {

void AddAuditCommand(CLI::App& app, Action& action);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_AUDIT_COMMAND_H_
