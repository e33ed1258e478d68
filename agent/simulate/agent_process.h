// SPDX-License-Identifier: Apache-2.0
// The agent process of an enclave on a simulated machine: the real loops and the real policy, a
// thread for each core, which pay for what they do (kernel/sim/costs.h).
//
// A centralized agent spins there without events: it is called again when there is a message or a
// deadline, so that a message costs it what reading it costs and nothing else.
//
// Belongs to the Machine's thread. Must live as long as the machine runs, also after it was killed:
// events of its threads may be under way.
#ifndef CORRAL_AGENT_SIMULATE_AGENT_PROCESS_H_
#define CORRAL_AGENT_SIMULATE_AGENT_PROCESS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/runtime/central_loop.h"
#include "agent/runtime/enclave_state.h"
#include "agent/runtime/options.h"
#include "agent/runtime/per_core_agents.h"
#include "agent/runtime/topology.h"
#include "kernel/sim/sim_kernel.h"
#include "policies/registry.h"

namespace corral {

class AgentProcess {
 public:
  struct Spec {
    EnclaveId enclave;
    std::string enclave_name;
    const PolicyInfo* policy = nullptr;
    OptionValues options;
    CpuSet housekeeping;   // empty: each thread on its own core
    int memory_node = -1;  // on which the threads work as fast as they can; -1: on each
    const HintTables* hints = nullptr;
    // For faults: how much later than usual a message wakes its reader.
    std::function<Duration()> message_delay;
  };
  // Its threads enter as soon as the cores are free. Errors as of EnclaveState::Create().
  static absl::StatusOr<std::unique_ptr<AgentProcess>> Start(sim::Machine& machine,
                                                             ControlKernel& control,
                                                             const Topology& host, Spec spec);
  ~AgentProcess();

  // SIGKILL: ends as soon as its threads get a CPU, without a word to the class.
  void Kill();
  // SIGTERM: leaves its cores first.
  void Leave();
  // SIGSTOP, and SIGCONT later.
  void Pause(Duration time);

  // Has all loops publish what tasks waited for, without waiting for their self-checks. Takes no
  // simulated time.
  void TellWaits();

  // Every core has its agent.
  bool serving() const;
  bool ended() const;
  LoopCounters counters() const {
    return central_ != nullptr ? central_->counters() : agents_->Totals();
  }
  sim::SimAgentKernel& kernel() { return *kernel_; }
  const CentralLoop& central() const { return *central_; }  // of a centralized policy
  Duration cpu_time() const;

 private:
  class Thread;
  class CoreThread;
  class SpinningThread;
  class AttendingThread;

  AgentProcess(sim::Machine& machine, Spec spec) : machine_(machine), spec_(std::move(spec)) {}
  absl::Status Make(ControlKernel& control, const Topology& host);
  absl::Status MakeAgents();
  std::unique_ptr<Thread> MakeThread(int core);

  sim::Machine& machine_;
  const Spec spec_;
  std::unique_ptr<sim::SimAgentKernel> kernel_;
  std::unique_ptr<EnclaveState> state_;
  std::unique_ptr<PerCorePolicy> per_core_policy_;
  std::unique_ptr<PerCoreAgents> agents_;
  std::unique_ptr<CentralPolicy> central_policy_;
  std::unique_ptr<CentralLoop> central_;
  std::vector<sim::SimThread*> threads_;  // by core
  std::vector<Thread*> programs_;         // of these
  Time paused_until_{};
  bool killed_ = false;
  bool leaving_ = false;
};

}  // namespace corral

#endif  // CORRAL_AGENT_SIMULATE_AGENT_PROCESS_H_
