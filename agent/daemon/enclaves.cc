// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/enclaves.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "kernel/text_field.h"

namespace corral {

std::vector<CoreId> CoresOf(const ControlKernel& kernel, EnclaveId enclave) {
  std::vector<CoreId> cores;
  for (uint32_t id = 0; id < kernel.cores().size(); ++id) {
    if (kernel.cores()[id].enclave == enclave.value()) cores.push_back(CoreId(id));
  }
  return cores;
}

std::optional<EnclaveId> FindEnclave(const ControlKernel& kernel, const std::string& name) {
  for (uint32_t id = 1; id < kernel.enclaves().size(); ++id) {
    const ghost_enclave& enclave = kernel.enclaves()[id];
    if (enclave.in_use && TextOf(enclave.name) == name) return EnclaveId(id);
  }
  return std::nullopt;
}

absl::StatusOr<EnclaveId> FindOrCreateEnclave(ControlKernel& kernel, const EnclaveConfig& config) {
  if (const std::optional<EnclaveId> id = FindEnclave(kernel, config.name)) return *id;
  EnclaveSpec spec{.name = config.name, .cpus = *config.cpus};
  if (const Duration tenure = config.options.GetDuration("tenure"); tenure > Duration::zero())
    spec.tenure = tenure;
  return kernel.CreateEnclave(spec);
}

AgentSpec AgentFor(const ControlKernel& kernel, const Config& config, const EnclaveConfig& enclave,
                   EnclaveId id, const std::string& program, const std::string& runtime_dir) {
  const bool may_hint = enclave.vms == Vms::kNone;
  return {.program = program,
          .enclave = enclave.name,
          .enclave_id = id,
          .cores = CoresOf(kernel, id),
          .policy = enclave.policy,
          .options_json = enclave.options.ToJson(),
          .housekeeping = config.housekeeping,
          .hints = may_hint ? absl::StrCat(runtime_dir, "/hints/", enclave.name) : ""};
}

}  // namespace corral
