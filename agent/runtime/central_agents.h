// SPDX-License-Identifier: Apache-2.0
// The agents of an enclave with a centralized policy: the loop, which the thread of the lead core
// runs, and for each other core a thread that has entered it and sleeps.
#ifndef CORRAL_AGENT_RUNTIME_CENTRAL_AGENTS_H_
#define CORRAL_AGENT_RUNTIME_CENTRAL_AGENTS_H_

#include <atomic>
#include <memory>
#include <semaphore>
#include <vector>

#include "agent/runtime/agents.h"
#include "agent/runtime/central_loop.h"

namespace corral {

class CentralAgents final : public Agents {
 public:
  // All must outlive the result. `housekeeping`: where the loop may spin; empty: on the enclave's
  // CPUs.
  CentralAgents(EnclaveState& state, CentralPolicy& policy, const CpuSet& housekeeping);

  int nr_cores() const override { return state_.topology().nr_cores(); }
  absl::Status Enter(int core) override { return loop_.Enter(core); }
  absl::Status Leave(int core) override { return loop_.Leave(core); }
  absl::Status Run(int core, const std::atomic<bool>& stop) override;
  void Wake(int core) override;
  bool HasBegun() const override { return loop_.has_begun(); }
  LoopCounters Totals() const override { return loop_.counters(); }

  CentralLoop& loop() { return loop_; }

 private:
  absl::Status Spin(const std::atomic<bool>& stop);
  absl::Status Attend(int core, const std::atomic<bool>& stop);

  EnclaveState& state_;
  std::vector<std::unique_ptr<std::counting_semaphore<>>> wakeups_;  // by core
  CentralLoop loop_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_CENTRAL_AGENTS_H_
