// SPDX-License-Identifier: Apache-2.0
// The secure VM policy on a fake class: turns, hand-overs, siblings, and what a vCPU may expect.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/policies/world.h"

namespace corral::testing {
namespace {

using std::chrono::milliseconds;

constexpr Duration kTenure = milliseconds(10);

TEST(SecureVm, TwoVcpusOfADomainRunInParallelOnOneCore) {
  World world({.machine = "numa:1 core:2 pu:2"});
  const Gtid a = world.kernel().Attach(2, true);
  const Gtid b = world.kernel().Attach(2, true);
  world.RunFor(milliseconds(1));
  EXPECT_TRUE(world.kernel().IsRunning(a));
  EXPECT_TRUE(world.kernel().IsRunning(b));
  EXPECT_EQ(world.CoreOf(a), world.CoreOf(b));
}

TEST(SecureVm, ADomainAloneKeepsTheCoreWithoutCommits) {
  World world({});
  world.kernel().Attach(2, true);
  world.kernel().Attach(2, true);
  world.RunFor(milliseconds(1));
  const uint64_t commits = world.kernel().commits();
  world.RunFor(milliseconds(500));
  EXPECT_EQ(world.kernel().commits(), commits);
}

TEST(SecureVm, TheWholeCoreChangesHandsAtTheEndOfTheTenure) {
  World world({});
  std::vector<Gtid> a = {world.kernel().Attach(2, true), world.kernel().Attach(2, true)};
  std::vector<Gtid> b = {world.kernel().Attach(3, true), world.kernel().Attach(3, true)};
  world.RunUntil(milliseconds(1));
  EXPECT_TRUE(world.kernel().IsRunning(a[0]) && world.kernel().IsRunning(a[1]));
  world.RunUntil(milliseconds(11));
  EXPECT_TRUE(world.kernel().IsRunning(b[0]) && world.kernel().IsRunning(b[1]));
  world.RunUntil(milliseconds(21));
  EXPECT_TRUE(world.kernel().IsRunning(a[0]) && world.kernel().IsRunning(a[1]));
  world.RunUntil(milliseconds(1000));
  EXPECT_EQ(world.RunTime(a[0]), milliseconds(500));
  EXPECT_EQ(world.RunTime(b[1]), milliseconds(500));
  EXPECT_EQ(world.breaches(), 0);
  // A switch each tenure and nothing else.
  EXPECT_LE(world.kernel().commits(), 102u);
}

TEST(SecureVm, ASiblingWithoutAVcpuOfTheDomainIsIdle) {
  World world({});
  const Gtid a = world.kernel().Attach(2, true);
  const Gtid b = world.kernel().Attach(3, true);
  world.RunUntil(milliseconds(1));
  EXPECT_NE(world.kernel().IsRunning(a), world.kernel().IsRunning(b));
  world.RunUntil(milliseconds(11));
  const ghost_core_txn& txn = world.kernel().last_commit().txn[0];
  EXPECT_EQ(txn.sibling[0].target, b.value());
  EXPECT_EQ(txn.sibling[1].target, GHOST_TARGET_IDLE);
}

TEST(SecureVm, AWakingVcpuJoinsItsDomainAtOnce) {
  World world({});
  const Gtid a = world.kernel().Attach(2, true);
  const Gtid b = world.kernel().Attach(2, false);
  world.kernel().Attach(3, true);
  world.RunUntil(milliseconds(3));
  world.kernel().Wake(b);
  world.RunUntil(milliseconds(4));
  EXPECT_TRUE(world.kernel().IsRunning(a));
  EXPECT_TRUE(world.kernel().IsRunning(b));
  EXPECT_EQ(world.kernel().last_commit().txn[0].sibling[0].target, GHOST_TARGET_KEEP);
}

TEST(SecureVm, AnIdleDomainGivesTheCoreUpAtOnce) {
  World world({});
  const Gtid a = world.kernel().Attach(2, true);
  const Gtid b = world.kernel().Attach(3, true);
  world.At(milliseconds(4), [&] { world.kernel().Block(a); });
  world.At(milliseconds(5), [&] { world.kernel().Wake(a); });
  world.RunUntil(milliseconds(4));
  EXPECT_TRUE(world.kernel().IsRunning(b));
  world.RunUntil(milliseconds(6));
  EXPECT_TRUE(world.kernel().IsRunning(b)) << "a waits for its turn";
  world.RunUntil(milliseconds(15));
  EXPECT_TRUE(world.kernel().IsRunning(a));
}

TEST(SecureVm, MoreVcpusThanSiblingsTakeTurns) {
  World world({});
  std::vector<Gtid> vcpus;
  for (int i = 0; i < 5; ++i) vcpus.push_back(world.kernel().Attach(2, true));
  world.RunUntil(milliseconds(1000));
  for (const Gtid v : vcpus) {
    EXPECT_NEAR(world.RunTime(v) / milliseconds(1), 400, 20);
    EXPECT_LE(world.LongestTaskWait(v), 3 * kTenure);
  }
}

TEST(SecureVm, ManyVcpusOfManyDomainsAllRun) {
  World world({});
  std::vector<Gtid> vcpus;
  for (uint32_t d = 2; d < 6; ++d) {
    for (uint32_t i = 0; i < d; ++i) vcpus.push_back(world.kernel().Attach(d, true));
  }
  world.RunUntil(milliseconds(4000));
  for (uint32_t d = 2; d < 6; ++d) EXPECT_LE(world.LongestDomainWait(d, 0), 3 * kTenure);
  for (const Gtid v : vcpus) EXPECT_GE(world.RunTime(v), milliseconds(350));
}

TEST(SecureVm, WhatTheHostPushesAsideGoesOnWithItsTurn) {
  World world({});
  const Gtid a = world.kernel().Attach(2, true);
  const Gtid b = world.kernel().Attach(2, true);
  const Gtid c = world.kernel().Attach(2, true);
  for (int ms = 1; ms < 10; ++ms) {
    world.At(milliseconds(ms), [&] { world.kernel().HostTakes(CpuId(0)); });
  }
  world.RunUntil(milliseconds(9));
  EXPECT_TRUE(world.kernel().IsRunning(a) && world.kernel().IsRunning(b));
  EXPECT_EQ(world.RunTime(c), Duration(0));
  world.RunUntil(milliseconds(300));
  EXPECT_GE(world.RunTime(c), milliseconds(190));
}

TEST(SecureVm, WakingADomainOftenDoesNotSwitchTheCoreOften) {
  World world({});
  const Gtid a = world.kernel().Attach(2, true);
  const Gtid b = world.kernel().Attach(3, false);
  for (int us = 0; us < 1000000; us += 100) {
    const bool wake = (us / 100) % 2 == 0;
    world.At(std::chrono::microseconds(us),
             [&world, b, wake] { wake ? world.kernel().Wake(b) : world.kernel().Block(b); });
  }
  world.RunUntil(milliseconds(1000));
  // There and back for each minimum tenure of 2 ms.
  EXPECT_LE(world.kernel().commits(), 2 * 500 + 4u);
  EXPECT_GT(world.RunTime(a), milliseconds(900));
}

// A vCPU that had what it was promised does not go on with a turn of the rest that it got
// meanwhile.
TEST(SecureVm, WhatAPromiseLeavesIsSharedWithinTheDomain) {
  World world({.machine = "numa:1 core:1 pu:1"});
  const Gtid promised = world.kernel().Attach(2, true);
  const Gtid beside = world.kernel().Attach(2, true);
  const Gtid other = world.kernel().Attach(3, true);
  world.kernel().Ask(promised, std::chrono::microseconds(12'250), milliseconds(25));
  world.kernel().Ask(other, std::chrono::microseconds(6'250), milliseconds(25));
  world.RunUntil(milliseconds(2000));
  EXPECT_GE(world.RunTime(promised), milliseconds(975));
  EXPECT_GE(world.RunTime(other), milliseconds(495));
  EXPECT_GE(world.RunTime(beside), milliseconds(200));
}

// The rest of its domain had less for as long as the promise was kept, and does not catch up with
// that at its expense.
TEST(SecureVm, WhosePromiseEndsDoesNotWaitForWhatItGave) {
  World world({.machine = "numa:1 core:1 pu:1"});
  const Gtid promised = world.kernel().Attach(2, true);
  const Gtid beside = world.kernel().Attach(2, true);
  world.kernel().Attach(3, true);
  world.kernel().Ask(promised, milliseconds(60), milliseconds(100));
  world.RunUntil(std::chrono::seconds(20));
  ASSERT_GT(world.RunTime(promised) - world.RunTime(beside), std::chrono::seconds(6));
  world.kernel().Ask(promised, Duration(0), Duration(0));
  const Duration before[] = {world.RunTime(promised), world.RunTime(beside)};
  world.RunFor(std::chrono::seconds(1));
  EXPECT_NEAR((world.RunTime(promised) - before[0]) / milliseconds(1), 250, 20);
  EXPECT_NEAR((world.RunTime(beside) - before[1]) / milliseconds(1), 250, 20);
}

// Time that one of a domain's promises is charged with is not charged to its share of the rest too,
// also where two of them end at the same time.
TEST(SecureVm, PromisesCostADomainNothingOfTheRest) {
  for (const bool longer_first : {true, false}) {
    World world({.machine = "numa:1 core:1 pu:1"});
    std::vector<Gtid> vcpus;
    for (int i = 0; i < 3; ++i) vcpus.push_back(world.kernel().Attach(2, true));
    const Gtid other = world.kernel().Attach(3, true);
    world.RunFor(milliseconds(1));
    const auto ask = [&](bool longer) {
      const Duration budget = longer ? milliseconds(60) : std::chrono::microseconds(13'500);
      world.kernel().Ask(vcpus[longer ? 0 : 1], budget, milliseconds(longer ? 100 : 50));
      world.RunFor(milliseconds(1));
    };
    ask(longer_first);
    ask(!longer_first);
    world.RunUntil(milliseconds(200));
    const Duration before[] = {world.RunTime(vcpus[2]), world.RunTime(other)};
    world.RunUntil(milliseconds(5200));
    const double beside = static_cast<double>((world.RunTime(vcpus[2]) - before[0]).count());
    const double elsewhere = static_cast<double>((world.RunTime(other) - before[1]).count());
    EXPECT_NEAR(beside / elsewhere, 1, 0.1) << longer_first;
  }
}

// ---- directed yield ----

TEST(SecureVm, WhomAnotherYieldsToGoesBeforeTheRestOfItsDomain) {
  World world({.machine = "numa:1 core:1 pu:1", .sharing = Offer::kNone});
  std::vector<Gtid> vcpus;
  for (int i = 0; i < 4; ++i) vcpus.push_back(world.kernel().Attach(2, true));
  world.RunUntil(milliseconds(2));
  ASSERT_TRUE(world.kernel().IsRunning(vcpus[0]));
  ASSERT_TRUE(world.kernel().YieldTo(vcpus[0], vcpus[3]));
  world.RunFor(milliseconds(1));
  EXPECT_TRUE(world.kernel().IsRunning(vcpus[3]));
}

// One that lives on another core replaces a vCPU of its own domain there at once, but no other's.
TEST(SecureVm, AYieldFromAnotherCoreReordersItsDomainAndNoOther) {
  for (const bool others_turn : {false, true}) {
    World world({.machine = "numa:1 core:2 pu:1", .sharing = Offer::kNone});
    std::vector<Gtid> vcpus;
    for (int i = 0; i < 4; ++i) vcpus.push_back(world.kernel().Attach(2, true));
    world.RunUntil(milliseconds(1));
    int core = 1;
    if (others_turn) {
      const Gtid other = world.kernel().Attach(3, true);
      world.RunUntil(milliseconds(12));
      ASSERT_TRUE(world.kernel().IsRunning(other));
      core = world.CoreOf(other);
    }
    const auto find = [&](bool there, bool running) {
      const auto found = std::find_if(vcpus.begin(), vcpus.end(), [&](Gtid v) {
        return (world.CoreOf(v) == core) == there && world.kernel().IsRunning(v) == running;
      });
      return found == vcpus.end() ? Gtid(0) : *found;
    };
    const Gtid from = find(false, true), to = find(true, false);
    ASSERT_TRUE(world.kernel().YieldTo(from, to));
    world.RunFor(milliseconds(1));
    EXPECT_TRUE(world.kernel().IsRunning(from));
    EXPECT_EQ(world.kernel().IsRunning(to), !others_turn);
  }
}

// Two that yield to each other all the time have no more than the third that does not.
TEST(SecureVm, ThoseThatYieldToEachOtherKeepNobodyOut) {
  for (const Offer sharing : {Offer::kNone, Offer::kMachine}) {
    World world({.machine = "numa:1 core:1 pu:1", .sharing = sharing});
    std::vector<Gtid> vcpus;
    for (int i = 0; i < 3; ++i) vcpus.push_back(world.kernel().Attach(2, true));
    for (Duration at{0}; at < milliseconds(1000); at += std::chrono::microseconds(500)) {
      world.At(at, [&] {
        world.kernel().YieldTo(vcpus[0], vcpus[1]) || world.kernel().YieldTo(vcpus[1], vcpus[0]);
      });
    }
    world.RunUntil(milliseconds(1000));
    // A turn more or less than a third.
    EXPECT_NEAR(world.RunTime(vcpus[2]) / milliseconds(1), 333, 2 * kTenure / milliseconds(1));
    EXPECT_LE(world.LongestTaskWait(vcpus[2]), 3 * kTenure);
    EXPECT_GT(world.kernel().commits(), 50u);
  }
}

// Nor do those that one on another core yields to all the time.
TEST(SecureVm, FavoursFromAnotherCoreKeepNobodyOut) {
  World world({.machine = "numa:1 core:2 pu:1", .sharing = Offer::kNone});
  std::vector<Gtid> vcpus;
  for (int i = 0; i < 6; ++i) vcpus.push_back(world.kernel().Attach(2, true));
  world.RunUntil(milliseconds(1));
  std::vector<Gtid> here;
  Gtid from{0};
  for (const Gtid v : vcpus) {
    if (world.CoreOf(v) == 1) here.push_back(v);
  }
  ASSERT_EQ(here.size(), 3u);
  for (Duration at = milliseconds(1); at < milliseconds(1001);
       at += std::chrono::microseconds(500)) {
    world.At(at, [&] {
      for (const Gtid v : vcpus) {
        if (world.CoreOf(v) == 0 && world.kernel().IsRunning(v)) from = v;
      }
      world.kernel().YieldTo(from, here[0]) || world.kernel().YieldTo(from, here[1]);
    });
  }
  world.RunUntil(milliseconds(1001));
  EXPECT_NEAR(world.RunTime(here[2]) / milliseconds(1), 333, 2 * kTenure / milliseconds(1));
  EXPECT_LE(world.LongestTaskWait(here[2]), 3 * kTenure);
}

// ---- co-running ----

// A domain on two cores, each of which it shares with another that came at a time of its own: in
// step, the two cores are the domain's at the same time, but for the first few turns.
TEST(SecureVm, CoRunningHasADomainsTurnsOnAllCoresAtTheSameTime) {
  for (const bool co_running : {false, true}) {
    World world({.machine = "numa:1 core:2 pu:2", .co_running = co_running});
    std::vector<Gtid> vm;
    for (int i = 0; i < 4; ++i) vm.push_back(world.kernel().Attach(2, true));
    world.RunUntil(milliseconds(1));
    world.kernel().Attach(3, true);
    world.RunUntil(milliseconds(15));
    world.kernel().Attach(4, true);
    world.RunUntil(milliseconds(100));
    int apart = 0;
    for (int ms = 0; ms < 1000; ++ms) {
      world.RunFor(milliseconds(1));
      const auto running =
          std::count_if(vm.begin(), vm.end(), [&](Gtid v) { return world.kernel().IsRunning(v); });
      apart += running != 0 && running != 4;
    }
    EXPECT_EQ(world.breaches(), 0);
    if (co_running) {
      EXPECT_EQ(apart, 0);
    } else {
      EXPECT_GT(apart, 400) << "half of each tenure on one core only, or the other";
    }
    for (const Gtid v : vm) EXPECT_NEAR(world.RunTime(v) / milliseconds(1), 550, 20);
  }
}

}  // namespace
}  // namespace corral::testing
