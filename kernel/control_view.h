// SPDX-License-Identifier: Apache-2.0
// The class as the control plane sees it, whichever way it is reached: views of the class's memory,
// the calls that change it, and threads' scheduling policies. What is derived from this brings
// these.
//
// Errors are those of kernel/ghost_kernel.h. Thread-safe once Bind() has returned.
#ifndef CORRAL_KERNEL_CONTROL_VIEW_H_
#define CORRAL_KERNEL_CONTROL_VIEW_H_

#include <sys/types.h>

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "kernel/ghost_kernel.h"

namespace corral {

// A program of the class that the control plane calls, by the struct that it takes.
enum class ControlCall {
  kEnclaveCreate,   // ghost_enclave_create
  kEnclaveUpdate,   // ghost_enclave_update
  kEnclaveDestroy,  // ghost_enclave_destroy
  kCoreAssign,      // ghost_core_assign
  kAgentBless,      // ghost_agent_bless
  kDomainCreate,    // ghost_domain_create
  kDomainDestroy,   // ghost_domain_destroy
  kTaskAttach,      // ghost_task_attach
  kTaskUpdate,      // ghost_task_update
  kTaskRelabel,     // ghost_task_relabel
  kTaskDetach,      // ghost_task_detach
  kTaskRestore,     // ghost_task_restore
  kCoreRestore,     // ghost_core_restore
};

class ControlView : public ControlKernel {
 public:
  const ghost_class_info& info() const override { return *memory_.class_info; }
  absl::Span<const ghost_enclave> enclaves() const override { return memory_.enclaves; }
  absl::Span<const ghost_domain> domains() const override { return memory_.domains; }
  absl::Span<const ghost_core_state> cores() const override { return memory_.cores; }
  absl::Span<const ghost_cpu_config> cpus() const override { return memory_.cpu_configs; }
  absl::Span<const ghost_cpu_state> cpu_states() const override { return memory_.cpu_states; }
  absl::Span<const ghost_status_word> status_words() const override { return memory_.status_words; }
  absl::Span<const ghost_affinity> affinities() const override { return memory_.affinities; }
  absl::Span<const ghost_waits> waits() const override { return memory_.waits; }
  absl::Span<const ghost_tally> tallies() const override { return memory_.tallies; }
  absl::Span<const ghost_trace_event> traces() const override { return memory_.traces; }
  absl::Span<const ghost_queue_state> queue_states() const override { return memory_.queue_states; }

  absl::StatusOr<EnclaveId> CreateEnclave(const EnclaveSpec& spec) override;
  absl::Status Protect(EnclaveId enclave, const EnclaveProtection& protection) override;
  absl::Status ReshapeEnclave(EnclaveId enclave, const CpuSet& cpus) override;
  absl::Status DestroyEnclave(EnclaveId enclave) override;
  absl::Status BlessAgent(pid_t tgid, EnclaveId enclave) override;
  absl::StatusOr<DomainId> CreateDomain(EnclaveId enclave, const DomainKey& key,
                                        absl::string_view name) override;
  absl::Status DestroyDomain(DomainId domain) override;
  absl::StatusOr<Gtid> AttachTask(pid_t tid, DomainId domain, int vcpu, int weight) override;
  absl::Status UpdateTask(Gtid task, const TaskAttributes& attributes) override;
  absl::StatusOr<Gtid> RelabelTask(Gtid task, DomainId domain) override;
  absl::Status DetachTask(Gtid task) override;
  absl::Status RestoreTask(const ghost_task_restore& task) override;
  absl::Status RestoreCore(const ghost_core_restore& core) override;

 protected:
  // Read-only; the class writes it meanwhile. Must stay there while the view is in use.
  struct Memory {
    const ghost_class_info* class_info = nullptr;
    absl::Span<const ghost_enclave> enclaves;
    absl::Span<const ghost_domain> domains;
    absl::Span<const ghost_core_state> cores;
    absl::Span<const ghost_cpu_config> cpu_configs;
    absl::Span<const ghost_cpu_state> cpu_states;
    absl::Span<const ghost_status_word> status_words;
    absl::Span<const ghost_affinity> affinities;
    absl::Span<const ghost_waits> waits;
    absl::Span<const ghost_tally> tallies;
    absl::Span<const ghost_trace_event> traces;
    absl::Span<const ghost_queue_state> queue_states;
  };

  ControlView() = default;

  // Once, before anything else. FailedPrecondition: the class speaks another ABI version; after
  // that the view is of no use.
  absl::Status Bind(const Memory& memory);

  // These four are thread-safe.

  // Has the class run `call` on its struct of `size` bytes. An error says only why the class was
  // not reached; what the class answered is in `args`.
  virtual absl::Status CallClass(ControlCall call, void* args, size_t size) = 0;
  // Makes the message queue of a core, whose number is the core's; replaces one that is there.
  virtual absl::Status MakeQueue(CoreId core) = 0;
  // -1 if the thread has ended.
  virtual int PolicyOf(pid_t tid) const = 0;
  // NotFound: the thread has ended. Anything else: the kernel's reason.
  virtual absl::Status SetPolicy(pid_t tid, int policy) = 0;

 private:
  template <typename Args>
  absl::Status Call(ControlCall call, absl::string_view what, Args& args);
  // The cores that make up `cpus`, if they are whole, and free or `owner`'s.
  absl::StatusOr<std::vector<CoreId>> WholeCores(absl::string_view name, const CpuSet& cpus,
                                                 EnclaveId owner) const;
  absl::Status AssignCore(CoreId core, EnclaveId enclave);

  Memory memory_;
};

}  // namespace corral

#endif  // CORRAL_KERNEL_CONTROL_VIEW_H_
