// SPDX-License-Identifier: Apache-2.0
// A guest that sleeps across each tick gets no more than its share: time is accounted for at
// switches, where nobody can be absent (Tsafrir 2007 shows what sampling at ticks gives away).
#include <gtest/gtest.h>

#include "tests/sim/bare_vms.h"

namespace corral {
namespace {

using sim::SimThread;
using sim::Step;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Computes from shortly after a tick of its CPU until shortly before the next.
class Dodger final : public sim::Program {
 public:
  Dodger(Duration tick, Duration margin) : tick_(tick), margin_(margin) {}
  Step Next(SimThread&, Time now) override {
    const Duration left = tick_ - now.time_since_epoch() % tick_;
    return left > margin_ ? Step::Run(left - margin_) : Step::Sleep(left + margin_);
  }

 private:
  const Duration tick_, margin_;
};

TEST(Dodger, GetsAtMostItsShare) {
  for (const int siblings : {1, 2}) {
    for (const Duration margin : {Duration(microseconds(20)), Duration(microseconds(300))}) {
      for (const int spinners : {1, 3}) {
        BareVms vms(/*cores=*/1, siblings);
        const Duration tick = vms.machine().spec().costs.tick;
        const BareVms::Vcpu dodger = vms.AddVm<Dodger>(1, "vm", tick, margin).front();
        for (int i = 0; i < spinners; ++i) vms.AddVm<Spinner>(1, "vm");
        vms.machine().RunFor(milliseconds(500));
        const Duration before = vms.Ran(dodger);
        vms.machine().RunFor(seconds(10));
        const double share = std::chrono::duration<double>(vms.Ran(dodger) - before).count() / 10;
        printf("%d siblings, %lld us off each tick, %d spinning VMs beside it: %.4f of the core\n",
               siblings, static_cast<long long>(margin / microseconds(1)), spinners, share);
        EXPECT_LE(share, 1.0 / (spinners + 1) + 0.01);
        EXPECT_GT(share, 0.2 / (spinners + 1)) << "it does not dodge, it just has nothing";
      }
    }
  }
}

}  // namespace
}  // namespace corral
