// SPDX-License-Identifier: Apache-2.0
// The class as an agent sees it, whichever way it is reached: views of the class's memory, and a
// few calls. What is derived from this brings both, and the queues.
//
// Errors are those of kernel/ghost_kernel.h. Thread-safe once Bind() has returned.
#ifndef CORRAL_KERNEL_AGENT_VIEW_H_
#define CORRAL_KERNEL_AGENT_VIEW_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "kernel/ghost_kernel.h"

namespace corral {

// A program of the class that agents call, by the struct that it takes.
enum class AgentCall {
  kCommit,     // ghost_commit with one transaction
  kCommitFew,  // with GHOST_COMMIT_FEW_CORES at most
  kCommitMany,
  kEnter,      // ghost_agent_enter
  kAssociate,  // ghost_associate
  kArmTimer,   // ghost_timer_arm
  kGrant,      // ghost_task_grant
  kAccount,    // ghost_task_account
  kOffer,      // ghost_task_offer
};

// How much of a ghost_commit such a program looks at, in bytes.
size_t SizeOfCommit(uint32_t transactions);

class AgentView : public AgentKernel {
 public:
  const ghost_class_info& info() const override { return *memory_.class_info; }
  const ghost_enclave& enclave() const override { return memory_.enclaves[enclave_id_.value()]; }
  EnclaveId enclave_id() const override { return enclave_id_; }
  absl::Span<const ghost_core_state> cores() const override { return memory_.cores; }
  absl::Span<const ghost_cpu_config> cpus() const override { return memory_.cpu_configs; }
  absl::Span<const ghost_cpu_state> cpu_states() const override { return memory_.cpu_states; }
  absl::Span<const ghost_status_word> status_words() const override { return memory_.status_words; }
  absl::Span<const ghost_affinity> affinities() const override { return memory_.affinities; }
  absl::Status EnterAgent(CoreId core) override;
  absl::Status LeaveAgent(CoreId core) override;
  absl::Status Commit(ghost_commit& commit) override;
  absl::StatusOr<Association> Associate(Gtid task, uint64_t barrier, QueueId queue) override;
  absl::Status ArmTimer(CpuId cpu, Time when, uint64_t cookie) override;
  absl::Status Grant(Gtid task, const Verdict& verdict) override;
  absl::Status Account(Gtid task, const ghost_waits& waits) override;
  absl::Status OfferTask(Gtid task, Offer offer) override;

 protected:
  // Read-only; the class writes it meanwhile. Must stay there while the view is in use.
  struct Memory {
    const ghost_class_info* class_info = nullptr;
    absl::Span<const ghost_enclave> enclaves;          // by EnclaveId; 0 is unused
    absl::Span<const ghost_core_state> cores;          // by CoreId
    absl::Span<const ghost_core_txn> txns;             // by CoreId: what became of the last one
    absl::Span<const ghost_cpu_config> cpu_configs;    // by CpuId
    absl::Span<const ghost_cpu_state> cpu_states;      // by CpuId
    absl::Span<const ghost_status_word> status_words;  // by slot
    absl::Span<const ghost_affinity> affinities;       // by slot
    absl::Span<const ghost_queue_state> queue_states;  // by QueueId
  };

  AgentView() = default;

  // Once, before anything else. The cookies of this agent's transactions start at `first_cookie`,
  // which must be where no other agent process's are: outcomes of a predecessor may still stand in
  // the array. FailedPrecondition: the class speaks another ABI version. NotFound: no enclave of
  // that name. After an error the view is of no use.
  absl::Status Bind(const Memory& memory, absl::string_view enclave, uint64_t first_cookie);
  const Memory& memory() const { return memory_; }

  // Has the class run `call` on the first `size` bytes of its struct, in the calling thread's name;
  // not on less than it looks at. An error says only why the class was not reached; what the class
  // answered is in `args`. No allocation on success. Thread-safe.
  virtual absl::Status CallClass(AgentCall call, void* args, size_t size) = 0;

 private:
  absl::Status FindEnclave(absl::string_view name);
  absl::Status CallEnter(CoreId core, bool leave);

  Memory memory_;
  EnclaveId enclave_id_;
  std::atomic<uint64_t> next_cookie_{0};
};

}  // namespace corral

#endif  // CORRAL_KERNEL_AGENT_VIEW_H_
