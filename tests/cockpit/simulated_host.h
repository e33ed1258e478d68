// SPDX-License-Identifier: Apache-2.0
// A simulated host with two enclaves, VMs that compute and VMs that sleep, one of each trouble that
// corrald tells of, and policies that can be switched: what a corrald would show on the bus. Tests
// only.
#ifndef CORRAL_TESTS_COCKPIT_SIMULATED_HOST_H_
#define CORRAL_TESTS_COCKPIT_SIMULATED_HOST_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/bus/bus_state.h"
#include "agent/simulate/agent_process.h"
#include "kernel/sim/sim_kernel.h"

namespace corral {

class SimulatedHost {
 public:
  // Cores of two siblings; the last one is in no enclave, and the enclave "batch" has a few where
  // there are more than 8 CPUs.
  explicit SimulatedHost(int cpus);

  void Pass(Duration time) { machine_->RunFor(time); }
  // In the enclave of VMs.
  void AddVm(const std::string& name, int vcpus);
  // The agent leaves and another takes over, while the VMs run.
  absl::Status SetPolicy(const std::string& enclave, const std::string& policy);
  BusState Look() const;

 private:
  struct Enclave {
    std::string name;
    EnclaveId id;
    const PolicyInfo* policy = nullptr;
    AgentProcess* agent = nullptr;
  };
  struct Vcpu {
    sim::SimThread* thread = nullptr;
    Gtid task{0};
  };
  void AddEnclave(const std::string& name, int first, int last);
  void StartAgent(Enclave& enclave, const PolicyInfo* policy);
  Vcpu AddVcpu(DomainId domain, int index, std::unique_ptr<sim::Program> program);
  DomainId NewDomain(const std::string& name);
  void MakeTroubles();
  CpuSet CpusOfCore(int core) const { return topology_.core(core).siblings; }

  Topology topology_;
  std::unique_ptr<sim::Machine> machine_;
  std::unique_ptr<sim::SimControlKernel> control_;
  std::vector<Enclave> enclaves_;
  std::vector<std::unique_ptr<AgentProcess>> agents_;  // those that have left, too
  uint32_t vms_ = 0;
};

}  // namespace corral

#endif  // CORRAL_TESTS_COCKPIT_SIMULATED_HOST_H_
