// SPDX-License-Identifier: Apache-2.0
// Every nanosecond that a vCPU could have run and did not is told, and told for what it was.
#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <algorithm>
#include <numeric>

#include "tests/sim/bare_vms.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

double Seconds(uint64_t ns) { return static_cast<double>(ns) / 1e9; }
double Seconds(Duration time) { return std::chrono::duration<double>(time).count(); }

double Total(const ghost_waits& waits) {
  return Seconds(std::accumulate(std::begin(waits.ns), std::end(waits.ns), uint64_t{0}));
}

// What it waits for in most of the time, and how much of all that it waits that is.
struct Cause {
  int why = 0;
  double part = 0;
};
Cause CauseOf(const ghost_waits& waits) {
  const auto* const most = std::max_element(std::begin(waits.ns), std::end(waits.ns));
  return {static_cast<int>(most - std::begin(waits.ns)), Seconds(*most) / Total(waits)};
}

// It waits, and as good as all of that is for this.
void ExpectCause(BareVms& vms, const BareVms::Vcpu& vcpu, ghost_wait why) {
  vms.machine().RunFor(seconds(5));
  const Cause cause = CauseOf(vms.Waits(vcpu));
  EXPECT_GT(Total(vms.Waits(vcpu)), 0.5);
  EXPECT_EQ(cause.why, why);
  EXPECT_GT(cause.part, 0.98);
}

TEST(Waits, ForAnotherDomainsTurn) {
  BareVms vms(1, 2);
  const auto vm = vms.AddVm<Spinner>(2, "vm");
  vms.AddVm<Spinner>(2, "vm");
  ExpectCause(vms, vm[1], GHOST_WAIT_TURN);
}

TEST(Waits, BesideASiblingThatIdles) {
  BareVms vms(1, 2);
  const auto vm = vms.AddVm<Spinner>(1, "vm");
  vms.AddVm<Spinner>(1, "vm");
  ExpectCause(vms, vm[0], GHOST_WAIT_FORCED_IDLE);
}

TEST(Waits, ForItsOwnDomain) {
  BareVms vms(1, 2);
  const auto vm = vms.AddVm<Spinner>(3, "vm");
  ExpectCause(vms, vm[0], GHOST_WAIT_OWN);
}

TEST(Waits, ForItsCap) {
  BareVms vms(1, 2);
  const auto vm = vms.AddVm<Spinner>(1, "vm");
  ASSERT_TRUE(
      vms.control()
          .UpdateTask(vm[0].task, {.cap = milliseconds(20), .cap_period = milliseconds(100)})
          .ok());
  ExpectCause(vms, vm[0], GHOST_WAIT_CAP);
}

TEST(Waits, ForTheHost) {
  BareVms vms(1, 2);
  const auto vm = vms.AddVm<Spinner>(1, "vm");
  vms.machine().SetAffinity(*vm[0].thread, CpuSet({0}));
  vms.AddHostThread(0, std::make_unique<Spinner>());
  ExpectCause(vms, vm[0], GHOST_WAIT_HOST);
}

// Pinned outside its enclave, where the class runs it now and then.
TEST(Waits, ForAPlace) {
  BareVms vms(1, 2, /*foreign=*/1);
  const auto vm = vms.AddVm<Spinner>(1, "vm");
  vms.machine().SetAffinity(*vm[0].thread, CpuSet({2}));
  ExpectCause(vms, vm[0], GHOST_WAIT_PLACE);
}

// Runs for a while, then sleeps as long.
class Dozer final : public sim::Program {
 public:
  explicit Dozer(Duration time) : time_(time) {}
  sim::Step Next(sim::SimThread&, Time) override {
    awake_ = !awake_;
    return awake_ ? sim::Step::Run(time_) : sim::Step::Sleep(time_);
  }

 private:
  const Duration time_;
  bool awake_ = false;
};

TEST(Waits, NotWhileItSleeps) {
  BareVms vms(1, 2);
  const auto vm = vms.AddVm<Dozer>(1, "vm", Duration(milliseconds(3)));
  vms.machine().RunFor(seconds(5));
  EXPECT_NEAR(Seconds(vms.Ran(vm[0])), 2.5, 0.05);
  EXPECT_LT(Total(vms.Waits(vm[0])), 0.05) << "what it takes to get on a CPU";
}

// Of a vCPU that never sleeps, whatever is beside it: what it ran and what it waited make up all of
// the time, at the moment at which that is told.
RC_GTEST_PROP(WaitsLaw, TimeRunAndTimeWaitedAreAllTime, ()) {
  const int cores = *rc::gen::inRange(1, 4), siblings = *rc::gen::element(1, 2, 4);
  BareVms vms(cores, siblings);
  const Time begin = vms.machine().now();
  std::vector<BareVms::Vcpu> all;
  for (int n = *rc::gen::inRange(1, 6); n > 0; --n) {
    for (const BareVms::Vcpu& vcpu : vms.AddVm<Spinner>(*rc::gen::inRange(1, 5), "vm"))
      all.push_back(vcpu);
  }
  if (*rc::gen::arbitrary<bool>()) {
    vms.AddVm<Dozer>(2, "vm", Duration(milliseconds(*rc::gen::inRange(1, 20))));
    const int cpu = *rc::gen::inRange(0, cores * siblings);
    vms.AddHostThread(cpu, std::make_unique<Dozer>(milliseconds(*rc::gen::inRange(1, 20))));
  }
  const BareVms::Vcpu& vcpu = all[*rc::gen::inRange<size_t>(0, all.size())];
  if (*rc::gen::arbitrary<bool>()) {
    const milliseconds cap(*rc::gen::inRange(5, 90));
    RC_ASSERT(
        vms.control().UpdateTask(vcpu.task, {.cap = cap, .cap_period = milliseconds(100)}).ok());
  }
  vms.machine().RunFor(milliseconds(2500));
  const double told = Total(vms.Waits(vcpu));
  for (int ms = 0; ms < 1500 && Total(vms.Waits(vcpu)) == told; ++ms)
    vms.machine().RunFor(milliseconds(1));
  const double elapsed = Seconds(vms.machine().now() - begin);
  const double sum = Seconds(vms.Ran(vcpu)) + Total(vms.Waits(vcpu));
  if (Total(vms.Waits(vcpu)) == told) {
    RC_ASSERT(elapsed - sum < 0.02);  // it has nothing to wait for
  } else {
    RC_ASSERT(elapsed - sum < 0.005);
    RC_ASSERT(sum - elapsed < 0.001);
  }
}

}  // namespace
}  // namespace corral
