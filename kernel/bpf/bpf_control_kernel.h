// SPDX-License-Identifier: Apache-2.0
// The real class as the control plane sees it: through its pins in bpffs. Root only.
#ifndef CORRAL_KERNEL_BPF_BPF_CONTROL_KERNEL_H_
#define CORRAL_KERNEL_BPF_BPF_CONTROL_KERNEL_H_

#include <memory>

#include "kernel/bpf/class_files.h"
#include "kernel/bpf/mapped_array.h"
#include "kernel/ghost_kernel.h"

namespace corral {

class BpfControlKernel final : public ControlKernel {
 public:
  // FailedPrecondition: the class is not loaded, was ejected (with the kernel's reason), or is of
  // another version.
  static absl::StatusOr<std::unique_ptr<BpfControlKernel>> Open();
  // One that was ejected will do as well: its memory tells who was in it.
  static absl::StatusOr<std::unique_ptr<BpfControlKernel>> OpenEvenIfLost();

  Time Now() const override;
  const ghost_class_info& info() const override { return info_[0]; }
  absl::Span<const ghost_enclave> enclaves() const override { return enclaves_.span(); }
  absl::Span<const ghost_domain> domains() const override { return domains_.span(); }
  absl::Span<const ghost_core_state> cores() const override { return cores_.span(); }
  absl::Span<const ghost_cpu_config> cpus() const override { return cpus_.span(); }
  absl::Span<const ghost_cpu_state> cpu_states() const override { return cpu_states_.span(); }
  absl::Span<const ghost_status_word> status_words() const override { return status_words_.span(); }

  absl::Span<const ghost_affinity> affinities() const override { return affinities_.span(); }
  absl::StatusOr<EnclaveId> CreateEnclave(const EnclaveSpec& spec) override;
  absl::Status Protect(EnclaveId enclave, const EnclaveProtection& protection) override;
  absl::Status DestroyEnclave(EnclaveId enclave) override;
  absl::Status BlessAgent(pid_t tgid, EnclaveId enclave) override;
  absl::StatusOr<DomainId> CreateDomain(EnclaveId enclave, const DomainKey& key,
                                        absl::string_view name) override;
  absl::Status DestroyDomain(DomainId domain) override;
  absl::StatusOr<Gtid> AttachTask(pid_t tid, DomainId domain, int vcpu, int weight) override;
  absl::Status UpdateTask(Gtid task, const TaskAttributes& attributes) override;
  absl::Status DetachTask(Gtid task) override;

 private:
  BpfControlKernel() = default;
  // The cores that make up `cpus`, if they are whole and free.
  absl::StatusOr<std::vector<CoreId>> WholeCores(const EnclaveSpec& spec) const;
  absl::Status AssignCore(CoreId core, EnclaveId enclave);

  MappedArray<ghost_class_info> info_;
  MappedArray<ghost_enclave> enclaves_;
  MappedArray<ghost_domain> domains_;
  MappedArray<ghost_core_state> cores_;
  MappedArray<ghost_cpu_config> cpus_;
  MappedArray<ghost_cpu_state> cpu_states_;
  MappedArray<ghost_status_word> status_words_;
  MappedArray<ghost_affinity> affinities_;
  Fd queues_;
  Fd enclave_create_, enclave_update_, enclave_destroy_, core_assign_, agent_bless_, domain_create_,
      domain_destroy_, task_attach_, task_update_, task_detach_;
};

}  // namespace corral

#endif  // CORRAL_KERNEL_BPF_BPF_CONTROL_KERNEL_H_
