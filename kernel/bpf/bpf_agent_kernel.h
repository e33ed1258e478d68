// SPDX-License-Identifier: Apache-2.0
// The real class as an agent sees it: descriptors that the control plane passed to it, and nothing
// more. Needs no capability.
#ifndef CORRAL_KERNEL_BPF_BPF_AGENT_KERNEL_H_
#define CORRAL_KERNEL_BPF_BPF_AGENT_KERNEL_H_

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernel/bpf/class_files.h"
#include "kernel/bpf/mapped_array.h"
#include "kernel/ghost_kernel.h"

namespace corral {

// A descriptor for an agent, under the name that it will look for.
struct NamedFd {
  std::string name;
  Fd fd;
};

// Everything that an agent of an enclave with `cores` may hold: frozen maps, its queues, the
// programs that it may call.
absl::StatusOr<std::vector<NamedFd>> DescriptorsForAgent(absl::Span<const CoreId> cores);

class BpfAgentKernel final : public AgentKernel {
 public:
  // From the descriptors that were passed by the protocol of sd_listen_fds_with_names(3).
  static absl::StatusOr<std::unique_ptr<BpfAgentKernel>> FromInheritedFds(
      absl::string_view enclave);
  static absl::StatusOr<std::unique_ptr<BpfAgentKernel>> FromDescriptors(
      std::map<std::string, Fd> fds, absl::string_view enclave);

  Time Now() const override;
  const ghost_class_info& info() const override { return info_[0]; }
  const ghost_enclave& enclave() const override { return enclaves_[enclave_id_.value()]; }
  EnclaveId enclave_id() const override { return enclave_id_; }
  absl::Span<const ghost_core_state> cores() const override { return cores_.span(); }
  absl::Span<const ghost_cpu_config> cpus() const override { return cpus_.span(); }
  absl::Span<const ghost_status_word> status_words() const override { return status_words_.span(); }
  absl::Span<const ghost_affinity> affinities() const override { return affinities_.span(); }
  absl::Status EnterAgent(CoreId core) override;
  absl::Status LeaveAgent(CoreId core) override;
  absl::Status Commit(ghost_commit& commit) override;
  absl::StatusOr<Association> Associate(Gtid task, uint64_t barrier, QueueId queue) override;
  absl::Status ArmTimer(CpuId cpu, Time when, uint64_t cookie) override;
  absl::StatusOr<std::unique_ptr<MessageQueue>> OpenQueue(QueueId queue) override;

 private:
  BpfAgentKernel() = default;
  absl::Status FindEnclave(absl::string_view name);
  absl::Status CallEnter(CoreId core, bool leave);

  std::map<std::string, Fd> fds_;
  EnclaveId enclave_id_;
  MappedArray<ghost_class_info> info_;
  MappedArray<ghost_enclave> enclaves_;
  MappedArray<ghost_core_state> cores_;
  MappedArray<ghost_core_txn> txns_;
  MappedArray<ghost_cpu_config> cpus_;
  MappedArray<ghost_status_word> status_words_;
  MappedArray<ghost_affinity> affinities_;
  MappedArray<ghost_queue_state> queue_states_;
  int commit_fd_ = -1;
  // Starts where no other agent process's cookies are: outcomes of a predecessor may still stand in
  // the array.
  std::atomic<uint64_t> next_cookie_{0};
};

}  // namespace corral

#endif  // CORRAL_KERNEL_BPF_BPF_AGENT_KERNEL_H_
