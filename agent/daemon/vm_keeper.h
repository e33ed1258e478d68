// SPDX-License-Identifier: Apache-2.0
// Takes the vCPUs that a VmSource reports into the class, each into its VM's trust domain, and
// keeps what they are promised there to the VM's settings.
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

#include "agent/events/news.h"
#include "kernel/bpf/confined_threads.h"
#include "kernel/ghost_kernel.h"
#include "vmm-integration/vm_source.h"

namespace corral {

class VmKeeper final : public VmSink {
 public:
  using Log = std::function<void(const News&)>;

  struct Place {
    EnclaveId enclave;
    VmThreads isolate = VmThreads::kVcpus;       // those that go into the class
    std::optional<ConfinedThreads> confinement;  // of the others
  };

  // `kernel` must outlive the keeper.
  VmKeeper(ControlKernel& kernel, Place place, Log log)
      : kernel_(kernel), place_(std::move(place)), log_(std::move(log)) {}

  void OnSettings(const Vm& vm, const VmSettings& settings) override;
  void OnVcpu(const Vm& vm, const VcpuThread& thread) override;
  void OnVcpuGone(const Vm& vm, const VcpuThread& thread) override;
  void OnHelper(const Vm& vm, const HelperThread& helper) override;
  void OnVmGone(const Vm& vm) override;
  void OnPause() override;
  void OnNotice(const std::string& text) override { log_(text); }

 private:
  struct KnownVm {
    Vm vm;
    VmSettings settings;
    DomainId domain{0};  // its trust domain; 0: not made yet
    std::set<pid_t> iothreads;
    std::map<pid_t, int> vcpus;      // by thread
    std::map<pid_t, pid_t> helpers;  // that belong into the class: their processes
    std::set<pid_t> refused;         // by the class, which was told; they are tried again
    bool again = false;              // a thread of it could not change its domain yet
  };

  KnownVm& Known(const Vm& vm);
  absl::StatusOr<Gtid> Attach(KnownVm& known, pid_t tid, int vcpu);
  void AttachHelper(KnownVm& known, const HelperThread& helper);
  // Whoever may change a thread's scheduling class may take it out of ours.
  void TakeBack();
  bool TakeBack(KnownVm& known, pid_t process, pid_t tid, int vcpu);
  void ConfineHelper(const Vm& vm, const HelperThread& helper);
  // Makes what its threads are promised, and their domain, be what its settings say.
  void Apply(KnownVm& known);
  void DealOut(KnownVm& known);
  void Update(KnownVm& known, const ghost_status_word& word, std::set<std::string>& changes);
  // `thread`: its words, two of them if it is about to change its domain.
  void Relabel(KnownVm& known, const std::vector<ghost_status_word>& thread);
  absl::StatusOr<DomainId> DomainOf(KnownVm& known);
  // Domains of which no VM is known any more, but that a core may still name.
  void DestroyLeftovers();

  ControlKernel& kernel_;
  const Place place_;
  const Log log_;
  std::map<std::string, KnownVm> vms_;  // by UUID
};

// The 16 bytes of a UUID as libvirt writes it. InvalidArgument.
absl::StatusOr<DomainKey> KeyOfUuid(absl::string_view uuid);

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_VM_KEEPER_H_
