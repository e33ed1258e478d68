// SPDX-License-Identifier: Apache-2.0
// What KVM does about a simulated VM whose vCPUs spin: one that executes PAUSE in a loop for longer
// than a window leaves the guest, and KVM yields for it to a vCPU that may hold what it waits for.
//
// One per VM; belongs to the Machine's thread. Source: kvm_vcpu_on_spin() (virt/kvm/kvm_main.c) and
// the window of pause-loop exiting (arch/x86/kvm/vmx/vmx.c) of Linux 7.2, by behaviour.
#ifndef CORRAL_AGENT_SIMULATE_PAUSE_LOOPS_H_
#define CORRAL_AGENT_SIMULATE_PAUSE_LOOPS_H_

#include <vector>

#include "kernel/sim/machine.h"

namespace corral {

class PauseLoops {
 public:
  explicit PauseLoops(sim::Machine& machine) : machine_(machine) {}
  // Before any of them runs.
  void Start(const std::vector<sim::SimThread*>& vcpus);

  // Of the vCPU at `index`, whose program has the CPU and says what it does from now on.
  void Compute(size_t index);    // in user mode
  void InKernel(size_t index);   // in kernel mode, where locks are held
  sim::Step Spin(size_t index);  // in kernel mode, for as long as the hardware lets it
  sim::Step Exit(size_t index);  // it has spun for that long

 private:
  struct Vcpu {
    sim::SimThread* thread = nullptr;
    bool in_kernel = false;
    bool in_exit = false;   // KVM yields for it
    bool eligible = false;  // although it is: every other time that it is looked at
    Duration window{0};
    Time entered{};  // it has had a CPU since
  };

  void Enter(Vcpu& vcpu);
  bool Eligible(Vcpu& vcpu);

  sim::Machine& machine_;
  std::vector<Vcpu> vcpus_;
  size_t last_boosted_ = 0;
};

}  // namespace corral

#endif  // CORRAL_AGENT_SIMULATE_PAUSE_LOOPS_H_
