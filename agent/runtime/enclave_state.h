// SPDX-License-Identifier: Apache-2.0
// What the loops of one agent process share: the enclave's cores, the task table, and each loop's
// queue and mailbox.
//
// Made once, before any loop runs; afterwards only the table's records change (each by its owner)
// and the mailboxes (by anybody). Cores are named by their position in `topology`.
#ifndef CORRAL_AGENT_RUNTIME_ENCLAVE_STATE_H_
#define CORRAL_AGENT_RUNTIME_ENCLAVE_STATE_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/runtime/slot_mailbox.h"
#include "agent/runtime/task.h"
#include "agent/runtime/topology.h"
#include "kernel/ghost_kernel.h"

namespace corral {

class EnclaveState {
 public:
  // FailedPrecondition: another ABI, or an enclave without cores. `kernel` must outlive the result.
  // L3 caches are taken from `host` where it knows the CPUs.
  static absl::StatusOr<std::unique_ptr<EnclaveState>> Create(AgentKernel& kernel,
                                                              const Topology& host);

  AgentKernel& kernel() { return kernel_; }
  const Topology& topology() const { return topology_; }
  TaskTable& tasks() { return tasks_; }
  int lead() const { return lead_; }  // the core whose queue is the enclave's default queue

  QueueId queue_id(int core) const { return ports_[core]->id; }
  MessageQueue& queue(int core) { return *ports_[core]->queue; }
  SlotMailbox& mailbox(int core) { return ports_[core]->mailbox; }
  // The core that reads `queue`; -1 if none of this enclave does.
  int CoreOfQueue(uint32_t queue) const;

  // A bit per sibling of the core. Nobody is told when that changes.
  uint32_t OnlineSiblings(int core) const;

  // Asks the loop of core `to` to look at a slot, on behalf of the loop of `from`. Any thread.
  void Post(int from, int to, uint32_t slot) {
    ports_[to]->mailbox.Post(slot);
    if (to != from) ports_[to]->queue->Wake();
  }

 private:
  struct Port {
    Port(QueueId id, std::unique_ptr<MessageQueue> queue, uint32_t nr_slots)
        : id(id), queue(std::move(queue)), mailbox(nr_slots) {}
    QueueId id;
    std::unique_ptr<MessageQueue> queue;
    SlotMailbox mailbox;
  };

  EnclaveState(AgentKernel& kernel, Topology topology)
      : kernel_(kernel), topology_(std::move(topology)), tasks_(kernel.info().nr_slots) {}

  AgentKernel& kernel_;
  Topology topology_;
  TaskTable tasks_;
  std::vector<std::unique_ptr<Port>> ports_;
  int lead_ = 0;
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_ENCLAVE_STATE_H_
