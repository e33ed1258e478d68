// SPDX-License-Identifier: Apache-2.0
// What all of corralctl's subcommands have in common: how they are hooked in, and what their exit
// status means.
#ifndef CORRAL_AGENT_CTL_COMMAND_H_
#define CORRAL_AGENT_CTL_COMMAND_H_

#include <functional>
#include <nlohmann/json.hpp>

#include "absl/status/status.h"

namespace corral::ctl {

// Part of the interface: scripts depend on the numbers.
enum ExitCode {
  kOk = 0,
  kFailure = 1,  // it did not work; one line on stderr says why and what to do
  kUsage = 2,    // the command line is wrong
  kBreach = 3,   // it worked, and found what --fail-on-breach asks for
  kIncomplete =
      4,  // likewise no breach found, but something was not observed, so there may have been one
};

// What the chosen subcommand does, once the command line has been read. Returns the exit status.
using Action = std::function<int()>;

// Prints "corralctl: MESSAGE" on stderr. Returns kFailure, or kUsage for an invalid argument.
int Fail(const absl::Status& status);

// On stdout, in lines. Bytes that are no UTF-8, as file names may have, are replaced.
void Print(const nlohmann::ordered_json& json);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_COMMAND_H_
