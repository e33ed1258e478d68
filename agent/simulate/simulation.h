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

struct SimulatedDomain {
  std::string name;
  int vcpus = 0;
  Duration cpu_time{0};
  Duration work{0};   // without what switches and migrations took
  Percentiles waits;  // for a CPU
  // DomainLoad::samples().
  Percentiles requests;
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
  std::vector<std::string> domain_names() const;  // by SimThread::vm - 1

  SimulationResult Run();

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
  std::vector<std::unique_ptr<DomainLoad>> loads_;   // by domain
};

}  // namespace corral

#endif  // CORRAL_AGENT_SIMULATE_SIMULATION_H_
