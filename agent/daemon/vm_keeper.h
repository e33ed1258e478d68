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
#include <optional>
#include <set>
#include <string>

#include "kernel/bpf/confined_threads.h"
#include "kernel/ghost_kernel.h"
#include "vmm-integration/vm_source.h"

namespace corral {

class VmKeeper final : public VmSink {
 public:
  using Log = std::function<void(const std::string&)>;

  struct Place {
    EnclaveId enclave;
    VmThreads isolate = VmThreads::kVcpus;       // those that go into the class
    std::optional<ConfinedThreads> confinement;  // of the others
  };

  // `kernel` must outlive the keeper.
  VmKeeper(ControlKernel& kernel, Place place, Log log)
      : kernel_(kernel), place_(std::move(place)), log_(std::move(log)) {}

  void OnVcpu(const Vm& vm, const VcpuThread& thread) override;
  void OnVcpuGone(const Vm& vm, const VcpuThread& thread) override;
  void OnHelper(const Vm& vm, const HelperThread& helper) override;
  void OnVmGone(const Vm& vm) override;
  void OnNotice(const std::string& text) override { log_(text); }

 private:
  void AttachHelper(const Vm& vm, const HelperThread& helper);
  void ConfineHelper(const Vm& vm, const HelperThread& helper);
  absl::StatusOr<DomainId> DomainOf(const Vm& vm);
  // Domains whose VM has ended but that a core still names; tried again at the next report.
  void DestroyLeftovers();

  ControlKernel& kernel_;
  const Place place_;
  const Log log_;
  std::map<std::string, DomainId> domains_;  // by UUID
  std::set<DomainId> leftovers_;
};

// The 16 bytes of a UUID as libvirt writes it. InvalidArgument.
absl::StatusOr<DomainKey> KeyOfUuid(absl::string_view uuid);

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_VM_KEEPER_H_
