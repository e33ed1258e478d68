// SPDX-License-Identifier: Apache-2.0
// The agent of one physical core: messages in, policy, one transaction for the whole core out, then
// sleep.
//
// What it shares with other loops is AgentLoop's, and so is how no task gets lost; here is what
// becomes of tasks that are to live on other cores. Source: SOSP'21 section 3.1 and figure 3
// (per-CPU agents), extended to the siblings of a core.
//
// Thread rules: one thread calls Enter, Step, Run and Leave.
#ifndef CORRAL_AGENT_RUNTIME_PER_CORE_LOOP_H_
#define CORRAL_AGENT_RUNTIME_PER_CORE_LOOP_H_

#include <atomic>

#include "absl/status/status.h"
#include "agent/runtime/agent_loop.h"
#include "agent/runtime/lead.h"
#include "agent/runtime/policy.h"
#include "agent/runtime/transaction.h"

namespace corral {

class PerCoreLoop final : public AgentLoop {
 public:
  // `core` is a position in the enclave's topology; `lead` is given to the lead's loop only. All
  // must outlive the loop.
  PerCoreLoop(EnclaveState& state, int core, CorePolicy& policy, Lead* lead);

  // The calling thread becomes the agent of the core. Fails while another one is.
  absl::Status Enter();
  absl::Status Leave();

  // Steps and sleeps until `stop` is set (then wake the queue) or the core is lost. Enter first.
  absl::Status Run(const std::atomic<bool>& stop);

  int core() const { return self_; }

 private:
  void Discover() override;
  void LookAtCpus(Time now) override;
  void Decide(Time now) override;
  void OnStranger(const ghost_msg& message, uint32_t slot, int owner, Time now) override;
  void Consider(uint32_t slot) override;
  bool GoesWithCpu(Task& task, CpuId cpu, bool visits, Time now) override;
  bool Barred(const Task& task) const override;
  Reaction Reenter(int core) override;
  int Refusals() const override;
  bool TryWhereItIs(Task& task, Time now) override;
  bool TryElsewhere(Task& task, Time now) override;
  void CheckStrangers() override;
  void Adopted(Task& task, Time now) override;
  void Updated(Task& task) override;
  bool GiveIfWanted(Task& task, Time now) override;
  void HouseKeep(Time now) override;
  Time OwnDeadline(Time now) const override;

  void Give(Task& task, int core, Time now);
  int WantedElsewhere(const Task& task) const;
  int NextCoreFor(const Task& task) const;
  void Propose(Time now);
  Reaction Commit(Time now);

  const Core& place_;
  CorePolicy& core_policy_;
  Lead* const lead_;
  CoreTransaction txn_;
  uint32_t online_;  // a bit per sibling, as of the last look
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_PER_CORE_LOOP_H_
