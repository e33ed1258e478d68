// SPDX-License-Identifier: Apache-2.0
// VMs whose vCPUs spin, and yield to each other.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "kernel/sim/random.h"
#include "tests/sim/bare_vms.h"

namespace corral {
namespace {

using sim::SimThread;
using sim::Step;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Yields all the time, to any vCPU of its VM.
class Yielder final : public sim::Program {
 public:
  using Vm = std::vector<SimThread*>;
  Yielder(sim::Machine* machine, const Vm* vm) : machine_(*machine), vm_(*vm) {}
  Step Next(SimThread& self, Time) override {
    if (!vm_.empty()) {
      SimThread& other = *vm_[random_.Below(vm_.size())];
      if (&other != &self) machine_.YieldTo(self, other);
    }
    return Step::Run(microseconds(5));
  }

 private:
  sim::Machine& machine_;
  const Vm& vm_;
  sim::Random random_{1};
};

// The others' CPU time beside a VM of `vcpus` vCPUs that yield, or just compute.
Duration OthersTime(int vcpus, bool yield) {
  BareVms vms(/*cores=*/3, /*siblings=*/2);
  Yielder::Vm threads;
  std::vector<BareVms::Vcpu> vm;
  if (yield) {
    vm = vms.AddVm<Yielder>(vcpus, "yields", &vms.machine(), &threads);
  } else {
    vms.AddVm<Spinner>(vcpus, "computes");
  }
  for (const BareVms::Vcpu& vcpu : vm) threads.push_back(vcpu.thread);
  std::vector<BareVms::Vcpu> others;
  for (int i = 0; i < 5; ++i) {
    vms.machine().RunFor(milliseconds(3));  // so that cores do not have their turns in step
    for (const BareVms::Vcpu& vcpu : vms.AddVm<Spinner>(2, "other")) others.push_back(vcpu);
  }
  vms.machine().RunFor(seconds(2));
  Duration time{0};
  for (const BareVms::Vcpu& vcpu : others) time += vms.Ran(vcpu);
  return time;
}

// What a vCPU gives away it gives away of its own VM's time: also where guests from other cores
// have it, who are not accounted for where they are.
TEST(DirectedYield, TakesNothingFromOtherVms) {
  for (const int vcpus : {3, 6, 8, 12}) {
    const double without = static_cast<double>(OthersTime(vcpus, false).count());
    const double with = static_cast<double>(OthersTime(vcpus, true).count());
    printf("%2d vCPUs that yield all the time leave the others %.4f of their time\n", vcpus,
           with / without);
    // The rest goes to agents, which hear of each guest that yields, also while its core is
    // others'.
    EXPECT_GT(with / without, 0.98);
  }
}

}  // namespace
}  // namespace corral
