// SPDX-License-Identifier: Apache-2.0
// Makes the class's enclaves be those of the configuration. What a former daemon made is found and
// kept.
#ifndef CORRAL_AGENT_DAEMON_ENCLAVES_H_
#define CORRAL_AGENT_DAEMON_ENCLAVES_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/daemon/agent_launcher.h"
#include "config/config.h"
#include "kernel/ghost_kernel.h"

namespace corral {

// Nothing: there is none of that name.
std::optional<EnclaveId> FindEnclave(const ControlKernel& kernel, const std::string& name);

// Finds the enclave, whatever CPUs it has, or makes it.
absl::StatusOr<EnclaveId> FindOrCreateEnclave(ControlKernel& kernel, const EnclaveConfig& config);

std::vector<CoreId> CoresOf(const ControlKernel& kernel, EnclaveId enclave);

// The agent that the configuration wants for an enclave. Its processes may hint at a socket in
// `runtime_dir`, unless they are VMs.
AgentSpec AgentFor(const ControlKernel& kernel, const Config& config, const EnclaveConfig& enclave,
                   EnclaveId id, const std::string& program, const std::string& runtime_dir);

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_ENCLAVES_H_
