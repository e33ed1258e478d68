// SPDX-License-Identifier: Apache-2.0
// The class without its callbacks (overheads.bpf.c), loaded into this machine's own kernel on a
// made-up machine, and the calling thread as the agent of all of its cores.
//
// Nothing is attached or pinned: no thread of this machine is scheduled by it, and all is gone with
// this object. One thread. Root only.
#ifndef CORRAL_TESTS_BENCH_LOADED_CLASS_H_
#define CORRAL_TESTS_BENCH_LOADED_CLASS_H_

#include <array>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "kernel/bpf/bpf_agent_kernel.h"
#include "tests/bench/overheads.h"

struct overheads_class;

namespace corral::bench {

class LoadedClass {
 public:
  // Whose tasks they are: each core's those of a VM, or all of one domain.
  enum class Domains { kOnePerCore, kOne };
  static absl::StatusOr<std::unique_ptr<LoadedClass>> Load(Domains domains);
  ~LoadedClass();

  // The agent's view, as corral-agent has it.
  AgentKernel& agent() { return *agent_; }
  // The queue to which the messages of all tasks go.
  MessageQueue& queue() { return *queue_; }
  // The task that was made for CPU `cpu`.
  Gtid task(int cpu) const { return tasks_[cpu]; }

  // `count` events: see overheads.h. The queue has room for kQueueMessages
  // of their messages.
  static constexpr uint32_t kQueueMessages = 3000;
  struct Messages {
    ghost_msg_type type = GHOST_MSG_TASK_PREEMPT;
    bool loud = false;
  };
  absl::Status Events(uint32_t count, overheads_depth depth, const Messages& messages);
  // Every task is held again, no CPU has a decision.
  absl::Status TakeBack();
  // Commits without a system call for each: see overheads.h. `txns.nr` and `txns.txn` are the
  // caller's.
  absl::Status Transactions(overheads_txns& txns);

 private:
  LoadedClass(overheads_class* skeleton, Domains domains)
      : skeleton_(skeleton), domains_(domains) {}
  absl::Status Enable();
  absl::Status MakeEnclave();
  absl::Status MakeTasks();
  absl::Status MakeQueues();
  absl::Status BecomeAgent();

  overheads_class* const skeleton_;
  const Domains domains_;
  uint32_t enclave_ = 0;
  std::array<Fd, OVERHEADS_CORES> rings_;
  std::unique_ptr<BpfAgentKernel> agent_;
  std::unique_ptr<MessageQueue> queue_;
  std::array<Gtid, OVERHEADS_CPUS> tasks_{};
};

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_LOADED_CLASS_H_
