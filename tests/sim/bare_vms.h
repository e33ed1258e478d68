// SPDX-License-Identifier: Apache-2.0
// VMs without a scenario: threads with programs of a test's own, under the real class, agent and
// secure VM policy on a simulated machine of cores that are all alike. Tests only.
#ifndef CORRAL_TESTS_SIM_BARE_VMS_H_
#define CORRAL_TESTS_SIM_BARE_VMS_H_

#include <memory>
#include <vector>

#include "agent/simulate/agent_process.h"
#include "kernel/sim/sim_kernel.h"

namespace corral {

// Computes all the time.
class Spinner final : public sim::Program {
  sim::Step Next(sim::SimThread&, Time) override {
    return sim::Step::Run(std::chrono::milliseconds(1));
  }
};

class BareVms {
 public:
  // `foreign` cores more are there, which are not the VMs'. With `whole_host` the class has the
  // host's threads as well.
  BareVms(int cores, int siblings, int foreign = 0, bool whole_host = false);

  // A VM of its own, with so many vCPUs, each of which runs a program made with `args`.
  struct Vcpu {
    sim::SimThread* thread = nullptr;
    Gtid task{0};
  };
  template <typename MadeProgram, typename... Args>
  std::vector<Vcpu> AddVm(int vcpus, const char* name, Args... args) {
    std::vector<Vcpu> vm;
    const DomainId domain = NewDomain(name);
    for (int i = 0; i < vcpus; ++i)
      vm.push_back(AddVcpu(domain, i, std::make_unique<MadeProgram>(args...)));
    return vm;
  }
  // A thread of the host, on that CPU only.
  sim::SimThread& AddHostThread(int cpu, std::unique_ptr<sim::Program> program);

  // CPU time, up to now.
  Duration Ran(const Vcpu& vcpu) const { return machine_->CpuTime(*vcpu.thread); }
  // What its agents said that it waited for.
  const ghost_waits& Waits(const Vcpu& vcpu) const;

  sim::Machine& machine() { return *machine_; }
  sim::SimControlKernel& control() { return *control_; }

 private:
  DomainId NewDomain(const char* name);
  Vcpu AddVcpu(DomainId domain, int index, std::unique_ptr<sim::Program> program);

  std::unique_ptr<sim::Machine> machine_;
  std::unique_ptr<sim::SimControlKernel> control_;
  EnclaveId enclave_;
  std::unique_ptr<AgentProcess> agent_;
  uint32_t vms_ = 0;
};

}  // namespace corral

#endif  // CORRAL_TESTS_SIM_BARE_VMS_H_
