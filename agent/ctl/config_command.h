// SPDX-License-Identifier: Apache-2.0
// `corralctl config`: corral.yaml and its drop-ins, before and after corrald reads them. Asks
// nobody and changes nothing.
//
//   corralctl config check [FILE] [--any-host] [--json]   every error at once
//   corralctl config show [FILE] [--json]                 what is in force, and who said it
//   corralctl config schema [--drop-in]                   the JSON Schema of the file
//
// Exit status: command.h; check and show fail (1) if there is an error in the files.
//
// The JSON of check; members may be added (that of show: config/show.h):
//   {
//     "valid": bool,
//     "files": [PATH],                    in the order in which they were read
//     "ignored": [PATH],                  in the folder of drop-ins, but not named *.yaml
//     "errors": [{"file", "line", "column", "message"}]     line and column 0: the place is unknown
//   }
#ifndef CORRAL_AGENT_CTL_CONFIG_COMMAND_H_
#define CORRAL_AGENT_CTL_CONFIG_COMMAND_H_

#include <CLI/App.hpp>

#include "agent/ctl/command.h"

namespace corral::ctl {

void AddConfigCommand(CLI::App& app, Action& action);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_CONFIG_COMMAND_H_
