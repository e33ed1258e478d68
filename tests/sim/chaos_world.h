// SPDX-License-Identifier: Apache-2.0
// One seed's worth of trouble: VMs whose threads compute, sleep, yield, to each other too, fork and
// die on a simulated machine, while from outside their affinity, budget, nice, class and domain
// change, the host takes CPUs, CPUs come and go, and the agent is delayed, paused, killed and lied
// to. Everything follows from the seed.
#ifndef CORRAL_TESTS_SIM_CHAOS_WORLD_H_
#define CORRAL_TESTS_SIM_CHAOS_WORLD_H_

#include <memory>
#include <string>
#include <vector>

#include "agent/simulate/agent_process.h"
#include "kernel/sim/core_audit.h"
#include "kernel/sim/random.h"
#include "kernel/sim/sim_kernel.h"

namespace corral::testing {

class ChaosWorld {
 public:
  struct Options {
    std::string policy = "secure_vm";  // empty: no agent, the class schedules alone
    uint32_t fault = 0;                // enum corral_seeded_fault
    bool whole_host = false;  // who leaves the class's enclave, and hogs, stay in the class
    Duration runnable_timeout = std::chrono::milliseconds(500);
  };
  ChaosWorld(uint64_t seed, const Options& options);
  ~ChaosWorld();

  void Run(Duration time);
  // All trouble ends; whoever is there then may run on in peace for so long.
  void Calm(Duration time);

  const sim::CoreAudit& audit() const { return *audit_; }
  uint64_t breaches() const;  // as the class counts
  // The first time that a thread of the host and one of an enclave met on a core, where the whole
  // host is in the class; "": never.
  std::string BesideTheHost() const;
  bool enabled() const { return control_->info().enabled != 0; }
  // Of a thread in the class, up to now.
  Duration LongestWait() const;
  // Threads in the class that wanted a CPU during all of Calm() and got none, by name.
  std::vector<std::string> Starved() const { return starved_; }
  // Threads in the class that their agent has on a core that they may not use though they may use
  // another, or promised something where it cannot be kept.
  std::vector<std::string> Misplaced() const;
  // A CPU that went did not get there within 3 s of calm.
  bool hotplug_stuck() const { return hotplug_stuck_; }
  // By the class, during Calm().
  uint64_t calm_rescues() const { return calm_rescues_; }
  uint64_t rescues() const;
  uint64_t repairs() const;
  uint64_t commits() const;
  // Simulated events per CPU and second: a storm of kicks would show.
  uint64_t event_rate() const;
  // What happened, as one number: the same for the same seed.
  uint64_t fingerprint() const;
  std::string Describe() const;

 private:
  class Worker;
  class Recorder;
  class HostWatch;

  void MakeMachine();
  void StartAgent();
  void AddWorker(uint32_t vm);
  void Disturb();
  void DisturbThread(sim::SimThread& thread);
  void Relabel(const sim::SimThread& thread);
  void DisturbAgent();
  void DisturbCpus();
  void TakeCpu();
  DomainId DomainOf(uint32_t vm);
  CpuSet RandomCpus();
  void AskForBudget(sim::SimThread& thread);
  const ghost_status_word* WordOf(const sim::SimThread& thread) const;
  sim::SimThread* RandomThread();

  const uint64_t seed_;
  const Options options_;
  sim::Random random_;
  bool calm_ = false;
  std::unique_ptr<sim::Machine> machine_;
  std::unique_ptr<sim::CoreAudit> audit_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<HostWatch> host_watch_;
  std::unique_ptr<sim::SimControlKernel> control_;
  Topology topology_;
  EnclaveId enclave_;
  CpuSet all_, enclave_cpus_;
  std::vector<sim::SimThread*> threads_;
  std::vector<std::unique_ptr<AgentProcess>> agents_;  // the last one is the present one
  Time agent_due_{};
  CpuId offline_{-1};
  bool hotplug_stuck_ = false;
  bool unlocked_ = false;
  std::vector<std::string> starved_;
  uint64_t calm_rescues_ = 0;
};

}  // namespace corral::testing

#endif  // CORRAL_TESTS_SIM_CHAOS_WORLD_H_
