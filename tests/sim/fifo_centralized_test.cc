// SPDX-License-Identifier: Apache-2.0
// Laws of fifo_centralized on random simulated machines, with tasks that come, go, sleep, fork and
// change their affinity, and a host that takes CPUs: who waited longer goes first, nobody keeps a
// CPU beyond the slice while another waits for it, none idles beside one who could use it, and
// nobody starves.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "absl/strings/str_cat.h"
#include "agent/runtime/loop_timing.h"
#include "tests/sim/random_laws.h"

namespace corral {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

CentralSetting RandomSetting() {
  CentralSetting setting;
  setting.host.siblings = *rc::gen::element(1, 2, 4).as("siblings");
  setting.host.cores = Draw(setting.host.siblings == 1 ? 2 : 1, 4, "cores");
  const int slice = *rc::gen::element(500, 1000, 3000, 10000).as("slice, us");
  setting.slices = {microseconds(slice)};
  setting.host.values = {{"slice", absl::StrCat(slice, "us")}};
  DrawTasks(20, {300, 2000, 20000}, setting);
  return setting;
}

RC_GTEST_PROP(FifoCentralized, WhoWaitedLongerGoesFirst, ()) {
  AssertLawsHold(RandomSetting(), 1000);
}

RC_GTEST_PROP(FifoCentralized, AndSoItIsWithAffinities, ()) {
  AssertLawsHoldWithAffinities(RandomSetting(), 1000);
}

RC_GTEST_PROP(FifoCentralized, AndSoItIsBesideAHostThatTakesCpus, ()) {
  AssertLawsHoldBesideAHost(RandomSetting(), 1000);
}

// A new agent finds all tasks where they are; from then on everything is as before.
RC_GTEST_PROP(FifoCentralized, AndSoItIsUnderANewAgent, ()) {
  const CentralSetting setting = RandomSetting();
  const bool killed = Draw(0, 1, "killed") == 1;
  CentralLaws world(setting);
  world.AddTasks();
  for (int life = 0; life < 3; ++life) {
    world.Run(200);
    AssertLaws(world);
    if (killed) {
      world.host.agent().Kill();
    } else {
      world.host.agent().Leave();
    }
    world.host.StartAgent();
    // Until it is there, the class goes round robin.
    world.host.machine().RunFor(loop_timing::kEnterRetry * 2);
    RC_ASSERT(world.host.agent().serving());
    world.judge.Reset(world.host.machine().now());
  }
  world.Run(200);
  AssertLaws(world);
  RC_ASSERT(world.LongestWait() <= world.Bound() * 2 + milliseconds(100));
}

// Trust domains are for enclaves of VMs; but should there be some, they do not meet, and each has
// its turn.
RC_GTEST_PROP(FifoCentralized, TrustDomainsTakeTurns, ()) {
  CentralLaws world(RandomSetting());
  world.AddTasks(4);
  world.Run(1000);
  RC_ASSERT(world.host.breaches() == 0u);
  RC_ASSERT(world.host.agent().counters().repairs == 0u);
  RC_ASSERT(world.LongestWait() <= world.Bound());
}

}  // namespace
}  // namespace corral
