// SPDX-License-Identifier: Apache-2.0
// The agents of an enclave with a per-core policy: a loop for each core, and the lead. Threads
// (agent_threads.h) run them; simulations and tests step the loops themselves.
#ifndef CORRAL_AGENT_RUNTIME_PER_CORE_AGENTS_H_
#define CORRAL_AGENT_RUNTIME_PER_CORE_AGENTS_H_

#include <memory>
#include <vector>

#include "agent/runtime/agents.h"
#include "agent/runtime/lead.h"
#include "agent/runtime/per_core_loop.h"

namespace corral {

class PerCoreAgents final : public Agents {
 public:
  // `state` and `policy` must outlive the result.
  PerCoreAgents(EnclaveState& state, PerCorePolicy& policy);

  int nr_cores() const override { return static_cast<int>(loops_.size()); }
  absl::Status Enter(int core) override { return loops_[core]->Enter(); }
  absl::Status Leave(int core) override { return loops_[core]->Leave(); }
  absl::Status Run(int core, const std::atomic<bool>& stop) override {
    return loops_[core]->Run(stop);
  }
  void Wake(int core) override { state_.queue(core).Wake(); }
  bool HasBegun() const override { return loops_[state_.lead()]->has_begun(); }
  LoopCounters Totals() const override;

  int nr_loops() const { return nr_cores(); }
  PerCoreLoop& loop(int core) { return *loops_[core]; }
  CorePolicy& core_policy(int core) { return *policies_[core]; }

 private:
  EnclaveState& state_;
  Lead lead_;
  std::vector<std::unique_ptr<CorePolicy>> policies_;
  std::vector<std::unique_ptr<PerCoreLoop>> loops_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_PER_CORE_AGENTS_H_
