// SPDX-License-Identifier: Apache-2.0
// Starts an agent process: in a session of its own, with the descriptors of its enclave, blessed by
// the class before it runs.
//
// The agent outlives its launcher. It inherits no descriptor but those named in
// DescriptorsForAgent(), "options", "hints" and "ready", passed by the protocol of
// sd_listen_fds_with_names(3). Used from one thread; forks, so the child does only what is safe
// after a fork.
#ifndef CORRAL_AGENT_DAEMON_AGENT_LAUNCHER_H_
#define CORRAL_AGENT_DAEMON_AGENT_LAUNCHER_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernel/fd.h"
#include "kernel/ghost_kernel.h"

namespace corral {

struct AgentSpec {
  std::string program;  // path of corral-agent
  std::string enclave;
  EnclaveId enclave_id;
  std::vector<CoreId> cores;
  std::string policy;
  std::string options_json;
  std::string housekeeping;  // cpulist; empty: each agent thread on its own core
  std::string hints;         // path of the socket for hints (agent/hints); empty: none
};

// The program of ours with that name that belongs to this one: beside it, or where an installation
// or a build puts it then.
std::string InstalledProgram(const std::string& name);
std::string InstalledAgent();  // corral-agent

// A socket at the spec's path for hints, open to everybody.
absl::StatusOr<Fd> ListenForHints(const AgentSpec& spec);

// Of these there may be none.
struct AgentEnds {
  const Fd& hints;  // what it listens on for them
  const Fd& ready;  // the end of a pipe into which it writes when it waits for its cores
};

// Returns the process id of the agent, a child of the caller.
absl::StatusOr<pid_t> LaunchAgent(ControlKernel& kernel, const AgentSpec& spec,
                                  const AgentEnds& ends);

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_AGENT_LAUNCHER_H_
