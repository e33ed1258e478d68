// SPDX-License-Identifier: Apache-2.0
// `corralctl release --all`: the way out. Gives every thread in SCHED_EXT back and takes the class
// out, with corrald and every agent dead, the class ejected, or its pins half gone.
//
//   corralctl release --all [--dry-run] [--json]
//
// Nothing to release is success. Exit status: command.h; 1 if a thread, a pin or the class itself
// would not go, after everything else was done.
//
// The JSON; members may be added:
//   {
//     "dry_run": bool,
//     "scheduler", "scheduler_after",     the sched_ext scheduler in charge, "" for none
//     "threads": [{"tid", "policy": "SCHED_OTHER|SCHED_BATCH|...", "known": bool}],
//                                         known: it is the policy that it had before
//     "pins": [PATH],                     removed, or in a dry run those that would be
//     "notes": [TEXT],                    what was not as expected
//     "error": TEXT or null
//   }
#ifndef CORRAL_AGENT_CTL_RELEASE_COMMAND_H_
#define CORRAL_AGENT_CTL_RELEASE_COMMAND_H_

#include <CLI/App.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "agent/ctl/command.h"
#include "kernel/bpf/class_release.h"

namespace corral::ctl {

void AddReleaseCommand(CLI::App& app, Action& action);

nlohmann::ordered_json ReleaseJson(const ReleaseReport& report, bool dry_run);
std::string ReleaseText(const ReleaseReport& report, bool dry_run);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_RELEASE_COMMAND_H_
