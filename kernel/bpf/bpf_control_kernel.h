// SPDX-License-Identifier: Apache-2.0
// The real class as the control plane sees it: through its pins in bpffs. Root only.
#ifndef CORRAL_KERNEL_BPF_BPF_CONTROL_KERNEL_H_
#define CORRAL_KERNEL_BPF_BPF_CONTROL_KERNEL_H_

#include <memory>
#include <vector>

#include "kernel/bpf/class_files.h"
#include "kernel/bpf/mapped_array.h"
#include "kernel/control_view.h"

namespace corral {

class BpfControlKernel final : public ControlView {
 public:
  // FailedPrecondition: the class is not loaded, was ejected (with the kernel's reason), or is of
  // another version.
  static absl::StatusOr<std::unique_ptr<BpfControlKernel>> Open();
  // One that was ejected will do as well: its memory tells who was in it.
  static absl::StatusOr<std::unique_ptr<BpfControlKernel>> OpenEvenIfLost();
  // The next class (class_succession.h), which stays the same when it is in charge.
  static absl::StatusOr<std::unique_ptr<BpfControlKernel>> OpenNext();

  Time Now() const override;

 private:
  BpfControlKernel() = default;
  static absl::StatusOr<std::unique_ptr<BpfControlKernel>> OpenIn(const char* folder);
  absl::Status CallClass(ControlCall call, void* args, size_t size) override;
  absl::Status MakeQueue(CoreId core) override;
  int PolicyOf(pid_t tid) const override;
  absl::Status SetPolicy(pid_t tid, int policy) override;

  MappedArray<ghost_class_info> info_;
  MappedArray<ghost_enclave> enclaves_;
  MappedArray<ghost_domain> domains_;
  MappedArray<ghost_core_state> cores_;
  MappedArray<ghost_cpu_config> cpus_;
  MappedArray<ghost_cpu_state> cpu_states_;
  MappedArray<ghost_status_word> status_words_;
  MappedArray<ghost_affinity> affinities_;
  MappedArray<ghost_waits> waits_;
  MappedArray<ghost_tally> tallies_;
  MappedArray<ghost_trace_event> traces_;
  MappedArray<ghost_queue_state> queue_states_;
  Fd queues_;
  std::vector<Fd> programs_;  // by ControlCall
};

}  // namespace corral

#endif  // CORRAL_KERNEL_BPF_BPF_CONTROL_KERNEL_H_
