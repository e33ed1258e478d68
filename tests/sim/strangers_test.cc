// SPDX-License-Identifier: Apache-2.0
// A thread that put itself into SCHED_EXT has its 5 ms of 100, beside a VM and its agent that want
// all of the core; and it does not starve, or sched_ext's watchdog would eject the class, where
// real-time threads have the CPUs whenever the class's guard looks: what they push aside comes back
// without a question, so that the guard's kick alone would be lost.
#include <gtest/gtest.h>

#include "tests/sim/bare_vms.h"

namespace corral {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kGuardPeriod = milliseconds(50);

// Is there around each tick of the guard.
class InStep final : public sim::Program {
 public:
  sim::Step Next(sim::SimThread&, Time now) override {
    const Duration into = (now.time_since_epoch() + kAround) % kGuardPeriod;
    return into < 2 * kAround ? sim::Step::Run(2 * kAround - into)
                              : sim::Step::Sleep(kGuardPeriod - into);
  }

 private:
  static constexpr Duration kAround = microseconds(300);
};

// Beside a VM that computes on all siblings of a core: what the stranger had of 5 s.
Duration HadBesideAVm(int siblings, bool in_step) {
  BareVms vms(/*cores=*/1, siblings);
  vms.AddVm<Spinner>(siblings, "vm");
  for (int cpu = 0; in_step && cpu < siblings; ++cpu)
    vms.AddHostThread(cpu, std::make_unique<InStep>()).realtime = true;
  sim::SimThread& stranger = vms.machine().NewThread("stranger", std::make_unique<Spinner>());
  vms.machine().SetPolicy(stranger, 7);  // SCHED_EXT
  vms.machine().Wake(stranger);
  vms.machine().RunFor(seconds(5));
  EXPECT_LT(stranger.longest_wait(), milliseconds(300));
  return vms.machine().CpuTime(stranger);
}

TEST(Strangers, HaveTheirTimeOfACoreThatAVmWants) {
  for (const int siblings : {1, 2, 4}) {
    const Duration had = HadBesideAVm(siblings, /*in_step=*/false);
    printf("%d siblings: %.1f ms of 5 s\n", siblings, static_cast<double>(had.count()) / 1e6);
    EXPECT_GT(had, milliseconds(200)) << siblings << " siblings";
    EXPECT_LT(had, milliseconds(450)) << siblings << " siblings; ticks end it";
  }
}

TEST(Strangers, RunThoughRealTimeThreadsAreThereWheneverTheGuardLooks) {
  for (const int siblings : {1, 2, 4}) {
    const Duration had = HadBesideAVm(siblings, /*in_step=*/true);
    printf("%d siblings: %.1f ms of 5 s\n", siblings, static_cast<double>(had.count()) / 1e6);
    EXPECT_GT(had, milliseconds(100)) << siblings << " siblings";
  }
}

}  // namespace
}  // namespace corral
