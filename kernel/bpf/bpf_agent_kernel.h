// SPDX-License-Identifier: Apache-2.0
// The real class as an agent sees it: descriptors that the control plane passed to it, and nothing
// more. Needs no capability.
#ifndef CORRAL_KERNEL_BPF_BPF_AGENT_KERNEL_H_
#define CORRAL_KERNEL_BPF_BPF_AGENT_KERNEL_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernel/agent_view.h"
#include "kernel/bpf/class_files.h"
#include "kernel/bpf/mapped_array.h"

namespace corral {

// A descriptor for an agent, under the name that it will look for.
struct NamedFd {
  std::string name;
  Fd fd;
};

// Everything that an agent of an enclave with `cores` may hold: frozen maps, its queues, the
// programs that it may call.
absl::StatusOr<std::vector<NamedFd>> DescriptorsForAgent(absl::Span<const CoreId> cores);

class BpfAgentKernel final : public AgentView {
 public:
  // From the descriptors that were passed by the protocol of sd_listen_fds_with_names(3).
  static absl::StatusOr<std::unique_ptr<BpfAgentKernel>> FromInheritedFds(
      absl::string_view enclave);
  static absl::StatusOr<std::unique_ptr<BpfAgentKernel>> FromDescriptors(
      std::map<std::string, Fd> fds, absl::string_view enclave);

  Time Now() const override;
  absl::StatusOr<std::unique_ptr<MessageQueue>> OpenQueue(QueueId queue) override;

 private:
  BpfAgentKernel() = default;
  absl::Status CallClass(AgentCall call, void* args, size_t size) override;

  std::map<std::string, Fd> fds_;
  std::vector<int> programs_;  // by AgentCall
  MappedArray<ghost_class_info> info_;
  MappedArray<ghost_enclave> enclaves_;
  MappedArray<ghost_core_state> cores_;
  MappedArray<ghost_core_txn> txns_;
  MappedArray<ghost_cpu_config> cpus_;
  MappedArray<ghost_cpu_state> cpu_states_;
  MappedArray<ghost_status_word> status_words_;
  MappedArray<ghost_affinity> affinities_;
  MappedArray<ghost_queue_state> queue_states_;
};

}  // namespace corral

#endif  // CORRAL_KERNEL_BPF_BPF_AGENT_KERNEL_H_
