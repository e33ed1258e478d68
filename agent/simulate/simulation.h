// SPDX-License-Identifier: Apache-2.0
// A scenario, run: the class, the real agent and the real policy on a simulated machine, with VMs
// whose vCPUs do as the scenario says. The same scenario and seed give the same result, on any
// machine.
//
// One thread. Errors: what the machine, the class or the policy refuses.
#ifndef CORRAL_AGENT_SIMULATE_SIMULATION_H_
#define CORRAL_AGENT_SIMULATE_SIMULATION_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/simulate/agent_process.h"
#include "agent/simulate/load_programs.h"
#include "agent/simulate/scenario.h"
#include "kernel/sim/core_audit.h"

namespace corral {

// What became of a budget that a vCPU asked for.
struct SimulatedVerdict {
  int vcpu = 0;
  Duration granted{0};  // per period: the budget, or nothing
  Duration free{0};     // if nothing: what `core`, which has most room, could promise
  int core = -1;        // -1: there is no verdict, because the policy makes no promises
};

struct SimulatedDomain {
  std::string name;
  int vcpus = 0;
  Duration cpu_time{0};
  Duration work{0};   // without what switches and migrations took
  Percentiles waits;  // for a CPU
  // DomainLoad::samples().
  Percentiles requests;
  Duration budget{0};  // asked for by each vCPU
  Duration period{0};
  std::vector<SimulatedVerdict> verdicts;  // by vCPU, if there is a budget
};

struct SimulationResult {
  int nr_cores = 0;
  int nr_cpus = 0;  // of the VMs
  Duration time{0};
  std::vector<SimulatedDomain> domains;
  Duration core_time{0};  // some VM was on the core
  Duration forced_idle{0};
  Duration shared{0};  // siblings in two VMs: must be 0
  Duration agent_time{0};
  uint64_t core_switches = 0;
  uint64_t commits = 0;
  uint64_t rescues = 0;
};

class Simulation {
 public:
  // InvalidArgument: the topology, or housekeeping CPUs that leave the VMs none.
  static absl::StatusOr<std::unique_ptr<Simulation>> Create(const Scenario& scenario,
                                                            const sim::Costs& costs);
  ~Simulation();

  // Another observer, before Run(). Must outlive it.
  void Observe(sim::SwitchObserver* observer) { machine_->Observe(observer); }
  const sim::Machine& machine() const { return *machine_; }
  const ControlKernel& kernel() const { return *control_; }
  const sim::CoreAudit& audit() const { return *audit_; }
  // AgentProcess::TellWaits().
  void TellWaits() { agent_->TellWaits(); }
  std::vector<std::string> domain_names() const;  // by SimThread::vm - 1

  // By domain, then by vCPU.
  const std::vector<std::vector<sim::SimThread*>>& vcpus() const { return vcpus_; }

  // As sched_setaffinity(2) or `virsh vcpupin` does it.
  void Pin(size_t domain, int vcpu, const CpuSet& cpus);
  // Goes on for so long.
  void Advance(Duration time);
  // Advances to the scenario's end.
  SimulationResult Run();
  SimulatedVerdict VerdictOn(size_t domain, int vcpu) const;

 private:
  class Waits;

  explicit Simulation(const Scenario& scenario);
  absl::Status MakeMachine(const sim::Costs& costs);
  absl::Status MakeEnclave();
  absl::Status MakeDomain(uint32_t vm, const ScenarioDomain& domain);

  const Scenario scenario_;
  sim::Random random_;
  Topology topology_;
  std::unique_ptr<sim::Machine> machine_;
  std::unique_ptr<sim::CoreAudit> audit_;
  std::unique_ptr<Waits> waits_;
  std::unique_ptr<sim::SimControlKernel> control_;
  EnclaveId enclave_;
  CpuSet cpus_;
  std::unique_ptr<AgentProcess> agent_;
  std::vector<std::vector<sim::SimThread*>> vcpus_;  // by domain
  std::vector<std::vector<Gtid>> tasks_;             // likewise
  Duration run_{0};                                  // by Advance()
  std::vector<std::unique_ptr<DomainLoad>> loads_;   // by domain
};

}  // namespace corral

#endif  // CORRAL_AGENT_SIMULATE_SIMULATION_H_
