// SPDX-License-Identifier: Apache-2.0
// A unit of its own for the agents of an enclave, where systemd manages the system:
// corral-agent-ENCLAVE.scope, so that systemctl(1), systemd-cgls(1) and the journal tell agents
// from corrald, and nothing that is done to corrald's unit is done to them.
//
// A scope and no service (and so without an @, which no scope may have): an agent is given its
// rights as descriptors by the process that starts it, and systemd, which starts services, has none
// to give. Blocks for as long as systemd takes to answer, some seconds at most. Source:
// org.freedesktop.systemd1(5), StartTransientUnit.
#ifndef CORRAL_AGENT_DAEMON_AGENT_SCOPE_H_
#define CORRAL_AGENT_DAEMON_AGENT_SCOPE_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "kernel/types.h"

namespace corral {

// Where systemd listens to root, with and without a bus.
inline constexpr char kSystemdSocket[] = "/run/systemd/private";

// Its unit; characters that may not be in a unit's name are escaped as systemd-escape(1) does.
std::string AgentScope(const std::string& enclave);

// Moves the agent into its enclave's scope, which a predecessor may still be in. Unavailable: there
// is no systemd. Anything else: systemd's reason.
absl::Status MoveIntoScope(pid_t agent, const std::string& enclave,
                           const std::string& socket = kSystemdSocket);

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_AGENT_SCOPE_H_
