// SPDX-License-Identifier: Apache-2.0
// How long each VM had cores of each NUMA node: a core counts once, on however many siblings the VM
// runs. Same thread rules as the Machine.
#ifndef CORRAL_TESTS_SIM_CORE_TIME_H_
#define CORRAL_TESTS_SIM_CORE_TIME_H_

#include <vector>

#include "agent/runtime/topology.h"
#include "kernel/sim/machine.h"

namespace corral {

class CoreTime final : public sim::SwitchObserver {
 public:
  // VMs are numbered from 1 on, as SimThread::vm is. `topology` must outlive it.
  CoreTime(const Topology& topology, size_t vms)
      : topology_(topology),
        cores_(topology.nr_cores()),
        time_(topology.nr_nodes(), std::vector<Duration>(vms + 1)) {}

  void Switched(Time now, int cpu, const sim::SimThread* from, const sim::SimThread* to) override {
    const int core = topology_.CoreOf(CpuId(cpu));
    if (core < 0) return;
    Settle(core, now);
    State& state = cores_[core];
    if (from != nullptr && from->vm != 0 && state.running > 0) --state.running;
    if (to == nullptr || to->vm == 0) return;
    state.vm = to->vm;
    ++state.running;
  }
  // Brings it up to `now`.
  void Settle(Time now) {
    for (int core = 0; core < topology_.nr_cores(); ++core) Settle(core, now);
  }
  Duration Of(int node, uint32_t vm) const { return time_[node][vm]; }

 private:
  struct State {
    uint32_t vm = 0;
    int running = 0;  // of its threads
    Time since{};
  };
  void Settle(int core, Time now) {
    State& state = cores_[core];
    if (state.running > 0) time_[topology_.core(core).node][state.vm] += now - state.since;
    state.since = now;
  }

  const Topology& topology_;
  std::vector<State> cores_;
  std::vector<std::vector<Duration>> time_;  // by node, then by VM
};

}  // namespace corral

#endif  // CORRAL_TESTS_SIM_CORE_TIME_H_
