// SPDX-License-Identifier: Apache-2.0
// A fake class with a real agent on it, in discrete time: loops are stepped when a message, a
// wake-up or a deadline is due.
//
// Watches all the while: two domains on a core, and how long each domain and each vCPU waits. Tests
// only.
#ifndef CORRAL_TESTS_POLICIES_WORLD_H_
#define CORRAL_TESTS_POLICIES_WORLD_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/runtime/agent_threads.h"
#include "agent/runtime/enclave_state.h"
#include "agent/runtime/per_core_agents.h"
#include "policies/secure_vm/policy.h"
#include "tests/policies/fake_kernel.h"

namespace corral::testing {

class World {
 public:
  struct Options {
    std::string machine = "numa:1 core:1 pu:2";  // hwloc's synthetic notation
    FakeKernel::Options kernel;
    Duration tenure = std::chrono::milliseconds(10);
    Duration hand_over{0};  // from a commit until it is carried out
    Offer sharing = Offer::kMachine;
    bool co_running = false;
    bool rebalancing = false;  // vCPUs stay on their cores
  };

  explicit World(const Options& options);

  FakeKernel& kernel() { return *kernel_; }
  const Topology& topology() const { return topology_; }
  EnclaveState& state() { return *state_; }
  PerCoreAgents& agents() { return *agents_; }

  // The agent process goes away and a new one comes, which knows nothing.
  void StopAgent();
  void StartAgent();

  void At(Duration when, std::function<void()> what);
  Duration now() const { return kernel_->Now().time_since_epoch(); }
  // Runs the world up to that time.
  void RunUntil(Duration end);
  void RunFor(Duration span) { RunUntil(now() + span); }
  // Steps loops at this moment until nothing is left to do. False if that does not end.
  bool Settle();
  void StepLoop(int core);

  // By domain and core, the longest time in which the domain had a runnable vCPU there and none on
  // a CPU.
  Duration LongestDomainWait(uint32_t domain, int core) const;
  Duration LongestTaskWait(Gtid task) const;
  Duration RunTime(Gtid task) const;
  int breaches() const { return breaches_; }  // moments with two domains on a core
  LoopCounters counters() const { return agents_->Totals(); }
  // The core whose queue the task's messages go to.
  int CoreOf(Gtid task) const;

 private:
  struct Waiting {
    bool waits = false;
    Duration since{0};
    Duration longest{0};
    void Note(bool waits_now, Duration now);
  };

  void Observe();
  Duration NextTime(Duration end) const;
  void CarryOutDue();

  Options options_;
  Topology topology_;
  std::unique_ptr<FakeKernel> kernel_;
  std::unique_ptr<EnclaveState> state_;
  std::unique_ptr<PerCorePolicy> policy_;
  std::unique_ptr<PerCoreAgents> agents_;
  std::vector<Duration> deadlines_;
  std::vector<Duration> carry_at_;
  std::multimap<Duration, std::function<void()>> events_;
  std::map<std::pair<uint32_t, int>, Waiting> domain_waits_;
  std::map<uint64_t, Waiting> task_waits_;
  std::map<uint64_t, Duration> run_time_;
  int breaches_ = 0;
};

}  // namespace corral::testing

#endif  // CORRAL_TESTS_POLICIES_WORLD_H_
