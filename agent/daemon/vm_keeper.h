// SPDX-License-Identifier: Apache-2.0
// Takes the vCPUs that a VmSource reports into the class: one trust domain per VM, named by its
// UUID.
//
// Remembers nothing that the class does not know better: a restarted daemon hears of all VMs again,
// and the class answers that it has them. Called by the source's thread; log lines go to `log`,
// which must be thread-safe.
#ifndef CORRAL_AGENT_DAEMON_VM_KEEPER_H_
#define CORRAL_AGENT_DAEMON_VM_KEEPER_H_

#include <functional>
#include <map>
#include <set>
#include <string>

#include "kernel/ghost_kernel.h"
#include "vmm-integration/vm_source.h"

namespace corral {

class VmKeeper final : public VmSink {
 public:
  using Log = std::function<void(const std::string&)>;

  // `kernel` must outlive the keeper. VMs go to `enclave`.
  VmKeeper(ControlKernel& kernel, EnclaveId enclave, Log log)
      : kernel_(kernel), enclave_(enclave), log_(std::move(log)) {}

  void OnVcpu(const Vm& vm, const VcpuThread& thread) override;
  void OnVcpuGone(const Vm& vm, const VcpuThread& thread) override;
  void OnVmGone(const Vm& vm) override;
  void OnNotice(const std::string& text) override { log_(text); }

 private:
  absl::StatusOr<DomainId> DomainOf(const Vm& vm);
  // Domains whose VM has ended but that a core still names; tried again at the next report.
  void DestroyLeftovers();

  ControlKernel& kernel_;
  const EnclaveId enclave_;
  const Log log_;
  std::map<std::string, DomainId> domains_;  // by UUID
  std::set<DomainId> leftovers_;
};

// The 16 bytes of a UUID as libvirt writes it. InvalidArgument.
absl::StatusOr<DomainKey> KeyOfUuid(absl::string_view uuid);

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_VM_KEEPER_H_
