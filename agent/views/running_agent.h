// SPDX-License-Identifier: Apache-2.0
// What an agent that runs was started with, read from its process: true whoever started it, and
// with corrald gone as well. The counterpart of agent_launcher.h.
#ifndef CORRAL_AGENT_VIEWS_RUNNING_AGENT_H_
#define CORRAL_AGENT_VIEWS_RUNNING_AGENT_H_

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"

namespace corral {

// The memfd in which an agent gets its options.
inline constexpr char kAgentOptionsFd[] = "corral-agent-options";

struct RunningAgent {
  std::string policy;
  std::string options_json;  // "" if this caller may not read them
};

// Of the process that thread `tid` belongs to. NotFound: it is no agent, or has ended.
absl::StatusOr<RunningAgent> IdentifyAgent(pid_t tid);

// Where the program of a process was, if there is another file, or none, by now; "" if it is still
// there.
std::string ReplacedProgram(pid_t process);

}  // namespace corral

#endif  // CORRAL_AGENT_VIEWS_RUNNING_AGENT_H_
