// SPDX-License-Identifier: Apache-2.0
// Many seeds of trouble, each on a machine of its own: no two VMs on a core (I1), nobody starves
// (I5), and the same seed is the same story. CORRAL_CHAOS_SEEDS is how many (50 unless it is set),
// CORRAL_CHAOS_FIRST the first of them: to look at one, set both.
#include <gtest/gtest.h>

#include "kernel/bpf/seeded_fault.h"
#include "tests/environment.h"
#include "tests/sim/chaos_world.h"

namespace corral::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Everything that has to hold whatever happened. False when it does not.
bool Judge(const ChaosWorld& world, const std::string& policy) {
  EXPECT_EQ(world.audit().enforced().time.count(), 0) << world.audit().enforced().first;
  EXPECT_EQ(world.audit().enforced().times, 0u) << world.audit().enforced().first;
  EXPECT_EQ(world.breaches(), 0u) << "as the class counts";
  EXPECT_TRUE(world.enabled());
  EXPECT_TRUE(world.Starved().empty()) << ::testing::PrintToString(world.Starved());
  EXPECT_FALSE(world.hotplug_stuck());
  // In a centralized agent all tasks are with one core, and none is promised anything.
  if (!policy.empty() && FindPolicy(policy).value()->make_per_core != nullptr) {
    EXPECT_TRUE(world.Misplaced().empty()) << ::testing::PrintToString(world.Misplaced());
  }
  // CPUs that only kick each other make some hundred thousand.
  EXPECT_LT(world.event_rate(), 20000u);
  // The kernel's watchdog would have the class out after 20 s.
  EXPECT_LT(world.LongestWait(), seconds(5));
  return !::testing::Test::HasFailure();
}

class Chaos : public ::testing::TestWithParam<const char*> {};

TEST_P(Chaos, IsolationAndProgressHold) {
  const int first = FromEnvironment("CORRAL_CHAOS_FIRST", 1);
  const int seeds = FromEnvironment("CORRAL_CHAOS_SEEDS", 50);
  uint64_t commits = 0, rescues = 0, calm_rescues = 0;
  Duration longest{0};
  for (int seed = first; seed < first + seeds; ++seed) {
    ChaosWorld world(static_cast<uint64_t>(seed), {.policy = GetParam()});
    world.Run(seconds(2));
    world.Calm(seconds(4));
    ASSERT_TRUE(Judge(world, GetParam())) << world.Describe();
    commits += world.commits();
    rescues += world.rescues();
    calm_rescues += world.calm_rescues();
    longest = std::max(longest, world.LongestWait());
  }
  printf("%d seeds, %llu commits, %llu rescues (%llu in calm), longest wait %lld ms\n", seeds,
         static_cast<unsigned long long>(commits), static_cast<unsigned long long>(rescues),
         static_cast<unsigned long long>(calm_rescues),
         static_cast<long long>(longest.count() / 1000000));
}

INSTANTIATE_TEST_SUITE_P(Policies, Chaos,
                         ::testing::Values("secure_vm", "fifo", "fifo_centralized", ""),
                         [](const auto& info) {
                           return info.param[0] == '\0' ? "none" : std::string(info.param);
                         });

// With the host's threads in the class (`scope: host`), none of them runs beside a VM's either.
TEST(ChaosWorld, TheWholeHostInTheClass) {
  const int first = FromEnvironment("CORRAL_CHAOS_FIRST", 1);
  const int seeds = FromEnvironment("CORRAL_CHAOS_SEEDS", 50);
  for (const std::string policy : {"secure_vm", ""}) {
    for (int seed = first; seed < first + seeds; ++seed) {
      ChaosWorld world(static_cast<uint64_t>(seed), {.policy = policy, .whole_host = true});
      world.Run(seconds(2));
      world.Calm(seconds(4));
      EXPECT_EQ(world.BesideTheHost(), "");
      ASSERT_TRUE(Judge(world, policy)) << world.Describe();
    }
  }
}

TEST(ChaosWorld, TheSameSeedIsTheSameStory) {
  for (const uint64_t seed : {1, 2, 3}) {
    uint64_t fingerprints[2];
    for (uint64_t& fingerprint : fingerprints) {
      ChaosWorld world(seed, {});
      world.Run(milliseconds(500));
      fingerprint = world.fingerprint();
    }
    EXPECT_EQ(fingerprints[0], fingerprints[1]) << "seed " << seed;
  }
}

// The judge is not blind: with a way past the gate open, some of the seeds must show it.
TEST(ChaosWorld, AnOpenGateIsSeen) {
  for (const uint32_t fault :
       {CORRAL_FAULT_GATE_OFF, CORRAL_FAULT_RUNNING_UNGATED, CORRAL_FAULT_STRANGERS_UNGATED}) {
    uint64_t seen = 0;
    for (uint64_t seed = 1; seed <= 40 && seen == 0; ++seed) {
      ChaosWorld world(seed, {.fault = fault});
      world.Run(seconds(1));
      seen += world.audit().enforced().times;
    }
    EXPECT_GT(seen, 0u) << "fault " << fault;
  }
}

}  // namespace
}  // namespace corral::testing
