// SPDX-License-Identifier: Apache-2.0
// `corralctl enable` and `corralctl disable`: from observing to enforcing and back, with
// corral.yaml as it is.
//
//   corralctl enable [--config FILE] [--runtime-dir DIR] [--json]
//   corralctl disable [--config FILE] [--runtime-dir DIR] [--json]
//
// Exit status: command.h; 1 if it did not come about, and then nothing is changed.
//
// The JSON; members may be added:
//   {
//     "mode": "observe|enforce",          that was asked for
//     "before": "observe|enforce",        what was in force by the files
//     "file": PATH, "written": bool,      the drop-in, and whether it says something else now
//     "failures": [FINDING],              of the host, as of `check`; any forbids `enable`
//     "daemon": "observe|enforce" or null what corrald does now; null: it does not run
//     "next": [TEXT],                     what is left to do
//     "error": TEXT or null               why it did not come about
//   }
#ifndef CORRAL_AGENT_CTL_MODE_COMMAND_H_
#define CORRAL_AGENT_CTL_MODE_COMMAND_H_

#include <CLI/App.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "agent/ctl/command.h"
#include "agent/ctl/mode_switch.h"

namespace corral::ctl {

void AddEnableCommand(CLI::App& app, Action& action);
void AddDisableCommand(CLI::App& app, Action& action);

// What the operator has to do for the mode to be in force, or should know. `class_loaded`: the
// class is in the kernel.
std::vector<std::string> NextSteps(const ModeReport& report, Mode wanted, bool class_loaded);
nlohmann::ordered_json ModeJson(const ModeReport& report, Mode wanted,
                                const std::vector<std::string>& next);
std::string ModeText(const ModeReport& report, Mode wanted, const std::vector<std::string>& next);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_MODE_COMMAND_H_
