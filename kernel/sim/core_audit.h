// SPDX-License-Identifier: Apache-2.0
// The judge of the simulated machine: how long siblings of a core ran threads of two VMs. Knows the
// threads' VMs (SimThread::vm) and nothing of the class.
//
// A thread counts as enforced or exposed as it was when its stint began, like kernel/audit. Same
// thread rules as the Machine.
#ifndef CORRAL_KERNEL_SIM_CORE_AUDIT_H_
#define CORRAL_KERNEL_SIM_CORE_AUDIT_H_

#include <string>
#include <vector>

#include "kernel/sim/machine.h"

namespace corral::sim {

class CoreAudit final : public SwitchObserver {
 public:
  explicit CoreAudit(const Machine& machine);

  void Switched(Time now, int cpu, const SimThread* from, const SimThread* to) override;

  struct Shared {
    Duration time{0};
    uint64_t times = 0;
    std::string first;  // who met whom, where and when
  };
  const Shared& enforced() const { return enforced_; }  // both in the class: I1 is broken
  const Shared& exposed() const { return exposed_; }
  Duration core_time() const { return core_time_; }          // some VM's thread is on the core
  Duration forced_idle() const { return forced_idle_; }      // of CPUs beside a VM's thread
  uint64_t core_switches() const { return core_switches_; }  // of VM

 private:
  struct Stint {
    const SimThread* thread = nullptr;
    uint32_t vm = 0;
    bool enrolled = false;
  };
  struct CoreState {
    std::vector<int> cpus;
    Time since{};
    uint32_t last_vm = 0;
    bool met_enforced = false;
    bool met_exposed = false;
  };
  void Settle(CoreState& core, Time now);
  void Judge(CoreState& core, Time now, int cpu);

  std::vector<CoreState> cores_;
  std::vector<int> core_of_;
  std::vector<Stint> stints_;  // by CPU
  Shared enforced_, exposed_;
  Duration core_time_{0};
  Duration forced_idle_{0};
  uint64_t core_switches_ = 0;
};

}  // namespace corral::sim

#endif  // CORRAL_KERNEL_SIM_CORE_AUDIT_H_
