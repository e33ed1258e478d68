// SPDX-License-Identifier: Apache-2.0
// vCPUs live, and promises are kept, where affinities and online CPUs let them, with the whole
// agent on a fake class.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/policies/world.h"

namespace corral::testing {
namespace {

using secure_vm::CoreAdmission;
using secure_vm::Demand;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kPeriod = milliseconds(100);

Duration Granted(const World& world, Gtid task) {
  return Duration(static_cast<int64_t>(const_cast<World&>(world).kernel().word(task).granted_ns));
}

TEST(Affinity, ANewVcpuGoesWhereItMayRun) {
  World world({.machine = "numa:2 core:2 pu:2"});
  const Gtid a = world.kernel().Attach(2, true);
  const Gtid b = world.kernel().Attach(2, true);
  world.kernel().SetAffinity(a, CpuSet{6});
  world.kernel().SetAffinity(b, CpuSet{2, 3});
  world.RunFor(milliseconds(1));
  EXPECT_EQ(world.CoreOf(a), 3);
  EXPECT_EQ(world.CoreOf(b), 1);
  EXPECT_EQ(world.kernel().Running(CpuId(6)), a);
  EXPECT_TRUE(world.kernel().IsRunning(b));
  EXPECT_EQ(world.counters().latch_failures, 0u);
}

TEST(Affinity, SiblingsOfACoreComeFirstIfThereIsOneForEach) {
  World world({.machine = "numa:1 core:2 pu:2"});
  const Gtid a = world.kernel().Attach(2, true);
  world.kernel().SetAffinity(a, CpuSet{0});
  const Gtid beside = world.kernel().Attach(2, true);
  world.kernel().SetAffinity(beside, CpuSet{1, 2, 3});
  const Gtid not_beside = world.kernel().Attach(2, true);
  world.kernel().SetAffinity(not_beside, CpuSet{0, 2});
  world.RunFor(milliseconds(1));
  EXPECT_EQ(world.CoreOf(beside), 0);
  EXPECT_EQ(world.CoreOf(not_beside), 1);
}

TEST(Affinity, AVcpuThatComputesMovesWithinAMillisecond) {
  World world({.machine = "numa:1 core:3 pu:2", .hand_over = std::chrono::microseconds(50)});
  const Gtid a = world.kernel().Attach(2, true);
  world.RunFor(milliseconds(5));
  const int elsewhere = world.CoreOf(a) == 2 ? 1 : 2;
  const CpuSet& siblings = world.topology().core(elsewhere).siblings;
  world.kernel().SetAffinity(a, siblings);
  world.RunFor(milliseconds(1));
  EXPECT_EQ(world.CoreOf(a), elsewhere);
  EXPECT_TRUE(world.kernel().IsRunning(a));
  EXPECT_TRUE(siblings.Contains(CpuId(world.kernel().word(a).cpu)));
  EXPECT_EQ(world.counters().latch_failures, 0u);
}

TEST(Affinity, ABudgetIsJudgedAnewWhereTheVcpuMayRun) {
  World world({.machine = "numa:1 core:2 pu:2"});
  const Gtid a = world.kernel().Attach(2, true);
  const Gtid b = world.kernel().Attach(3, true);
  world.kernel().Ask(a, milliseconds(60), kPeriod);
  world.kernel().Ask(b, milliseconds(60), kPeriod);
  world.RunFor(milliseconds(5));
  ASSERT_EQ(Granted(world, a), milliseconds(60));
  ASSERT_EQ(Granted(world, b), milliseconds(60));
  ASSERT_NE(world.CoreOf(a), world.CoreOf(b));
  // To the other one's core, who makes room.
  world.kernel().SetAffinity(a, world.topology().core(world.CoreOf(b)).siblings);
  world.RunFor(milliseconds(2));
  EXPECT_EQ(Granted(world, a), milliseconds(60));
  EXPECT_EQ(Granted(world, b), milliseconds(60));
  EXPECT_NE(world.CoreOf(a), world.CoreOf(b));
  // Who may not make room stays, and the promise is refused, with what there is.
  world.kernel().SetAffinity(b, world.topology().core(world.CoreOf(b)).siblings);
  world.RunFor(milliseconds(2));
  world.kernel().SetAffinity(a, world.topology().core(world.CoreOf(b)).siblings);
  world.RunFor(milliseconds(2));
  EXPECT_EQ(Granted(world, a), Duration(0));
  EXPECT_EQ(Granted(world, b), milliseconds(60));
  EXPECT_EQ(world.CoreOf(a), world.CoreOf(b));
  const Duration free(static_cast<int64_t>(world.kernel().word(a).free_ns));
  EXPECT_GT(free, milliseconds(30));
  EXPECT_LT(free, milliseconds(35));
  EXPECT_EQ(static_cast<int>(world.kernel().word(a).place), world.CoreOf(b));
  // Wider again: judged again.
  world.kernel().SetAffinity(a, CpuSet::All());
  world.RunFor(milliseconds(2));
  EXPECT_EQ(Granted(world, a), milliseconds(60));
  EXPECT_NE(world.CoreOf(a), world.CoreOf(b));
}

TEST(Affinity, APromiseOnOneSiblingIsKeptThere) {
  World world({.machine = "numa:1 core:1 pu:2"});
  std::vector<Gtid> vcpus;
  for (int i = 0; i < 4; ++i) vcpus.push_back(world.kernel().Attach(2, true));
  for (const Gtid other : {world.kernel().Attach(3, true), world.kernel().Attach(3, true)})
    world.kernel().SetAffinity(other, CpuSet{0, 1});
  // The first sibling has two of them that may use no other; the other two have the choice.
  for (int i = 0; i < 4; ++i) {
    world.kernel().SetAffinity(vcpus[i], i < 2 ? CpuSet{0} : CpuSet{0, 1});
    world.kernel().Ask(vcpus[i], milliseconds(20), kPeriod);
  }
  world.RunUntil(milliseconds(200));
  std::map<uint64_t, Duration> before;
  for (const Gtid v : vcpus) {
    EXPECT_EQ(Granted(world, v), milliseconds(20));
    before[v.value()] = world.RunTime(v);
  }
  world.RunUntil(milliseconds(1200));
  for (const Gtid v : vcpus) EXPECT_GE(world.RunTime(v) - before[v.value()], milliseconds(200));
  EXPECT_EQ(world.counters().latch_failures, 0u);
}

TEST(Affinity, WhoHasAChoiceMakesWay) {
  World world({});
  const Gtid free = world.kernel().Attach(2, true);
  world.RunFor(milliseconds(1));
  ASSERT_EQ(world.kernel().Running(CpuId(0)), free);
  const Gtid pinned = world.kernel().Attach(2, true);
  world.kernel().SetAffinity(pinned, CpuSet{0});
  world.RunFor(milliseconds(1));
  EXPECT_EQ(world.kernel().Running(CpuId(0)), pinned);
  EXPECT_EQ(world.kernel().Running(CpuId(1)), free);
  const uint64_t commits = world.kernel().commits();
  world.RunFor(milliseconds(500));
  EXPECT_EQ(world.kernel().commits(), commits) << "and that is that";
}

TEST(Affinity, VcpusThatShareASiblingTakeTurns) {
  World world({});
  const Gtid a = world.kernel().Attach(2, true);
  const Gtid b = world.kernel().Attach(2, true);
  const Gtid free = world.kernel().Attach(2, true);
  for (const Gtid pinned : {a, b}) world.kernel().SetAffinity(pinned, CpuSet{1});
  world.RunFor(seconds(1));
  EXPECT_NEAR(world.RunTime(a) / milliseconds(1), 500, 20);
  EXPECT_NEAR(world.RunTime(b) / milliseconds(1), 500, 20);
  EXPECT_GE(world.RunTime(free), milliseconds(990));
}

// It waits for the class's guard, which the fake class has not, and costs nobody anything.
TEST(Affinity, AVcpuThatMayRunNowhereHarmsNobody) {
  World world({.machine = "numa:1 core:1 pu:2"});
  const Gtid nowhere = world.kernel().Attach(2, true);
  const Gtid other = world.kernel().Attach(3, true);
  world.kernel().SetAffinity(nowhere, CpuSet{100});
  world.kernel().Ask(nowhere, milliseconds(60), kPeriod);
  world.kernel().Ask(other, milliseconds(80), kPeriod);
  world.RunFor(seconds(1));
  EXPECT_EQ(world.CoreOf(nowhere), 0) << "somebody looks after it";
  EXPECT_EQ(Granted(world, nowhere), Duration(0));
  EXPECT_EQ(world.kernel().word(nowhere).free_ns, 0u);
  EXPECT_EQ(Granted(world, other), milliseconds(80));
  EXPECT_GE(world.RunTime(other), milliseconds(999)) << "its domain takes no turns";
  EXPECT_LT(world.kernel().commits(), 5u);
  EXPECT_LT(world.counters().steps, 50u);
  // The class runs it, somewhere, and it comes back.
  world.kernel().SetAffinity(nowhere, CpuSet{1});
  world.RunFor(2 * kPeriod);
  EXPECT_GT(world.RunTime(nowhere), Duration(0));
  EXPECT_EQ(world.counters().repairs, 0u);
}

// Only one that waits to run is tried where it was last, in case it cannot leave.
TEST(Affinity, ABlockedVcpuGoesWhereItMayRunFromWhereItRanLast) {
  World world({.machine = "numa:1 core:2 pu:2"});
  const Gtid a = world.kernel().Attach(2, true);
  world.kernel().SetAffinity(a, CpuSet{0});
  world.RunFor(milliseconds(1));
  world.kernel().Block(a);
  world.kernel().SetAffinity(a, CpuSet{2, 3});
  world.RunFor(milliseconds(1));
  ASSERT_EQ(world.CoreOf(a), 1);
  world.kernel().SetAffinity(a, CpuSet{0, 1});
  for (const int core : {1, 0, 1}) world.StepLoop(core);
  ASSERT_EQ(world.state().tasks().owner(GHOST_GTID_SLOT(a.value())), 0) << "it is on its way";
  world.kernel().SetAffinity(a, CpuSet{2, 3});
  world.RunFor(milliseconds(1));
  EXPECT_EQ(world.CoreOf(a), 1);
}

TEST(Affinity, WhatChangedWhileNoAgentWasThereIsTakenUp) {
  World world({.machine = "numa:1 core:3 pu:2"});
  std::vector<Gtid> vcpus;
  for (uint32_t d = 2; d < 5; ++d) vcpus.push_back(world.kernel().Attach(d, true));
  for (const Gtid v : vcpus) world.kernel().Ask(v, milliseconds(60), kPeriod);
  world.RunFor(milliseconds(5));
  for (const Gtid v : vcpus) ASSERT_EQ(Granted(world, v), milliseconds(60));
  world.StopAgent();
  const int core = 3 - 1 - world.kernel().word(vcpus[0]).place % 2;
  world.kernel().SetAffinity(vcpus[0], world.topology().core(core).siblings);
  world.StartAgent();
  world.RunFor(milliseconds(5));
  EXPECT_EQ(world.CoreOf(vcpus[0]), core);
  for (const Gtid v : vcpus) EXPECT_EQ(Granted(world, v), milliseconds(60));
}

TEST(Affinity, PromisesLeaveACoreThatGoesOfflineAndItIsUsedAgain) {
  World world({.machine = "numa:1 core:2 pu:2"});
  const Gtid a = world.kernel().Attach(2, true);
  const Gtid b = world.kernel().Attach(3, true);
  world.kernel().Ask(a, milliseconds(40), kPeriod);
  world.kernel().Ask(b, milliseconds(70), kPeriod);
  world.RunFor(milliseconds(5));
  const int gone = world.CoreOf(a);
  ASSERT_NE(gone, world.CoreOf(b));
  const CpuSet siblings = world.topology().core(gone).siblings;
  siblings.ForEach([&](CpuId cpu) { world.kernel().SetOffline(cpu, true); });
  world.RunFor(milliseconds(150));
  EXPECT_EQ(world.CoreOf(a), world.CoreOf(b));
  EXPECT_EQ(Granted(world, a), Duration(0)) << "there is not enough left";
  EXPECT_EQ(Granted(world, b), milliseconds(70));
  const Gtid c = world.kernel().Attach(4, true);
  world.RunFor(milliseconds(5));
  EXPECT_NE(world.CoreOf(c), gone);
  siblings.ForEach([&](CpuId cpu) { world.kernel().SetOffline(cpu, false); });
  world.RunFor(milliseconds(1100));
  EXPECT_EQ(Granted(world, a), milliseconds(40));
  EXPECT_EQ(world.CoreOf(a), gone);
  EXPECT_EQ(world.counters().repairs, 0u);
}

// A core with one sibling less keeps as much less.
TEST(Affinity, WithASiblingOfflineACoreIsPromisedOnlyOnce) {
  World world({.machine = "numa:1 core:1 pu:2"});
  const Gtid a = world.kernel().Attach(2, true);
  const Gtid b = world.kernel().Attach(2, true);
  for (const Gtid v : {a, b}) world.kernel().Ask(v, milliseconds(60), kPeriod);
  world.RunFor(milliseconds(5));
  EXPECT_EQ(Granted(world, a) + Granted(world, b), milliseconds(120));
  world.kernel().SetOffline(CpuId(1), true);
  world.RunFor(milliseconds(1100));
  EXPECT_EQ(Granted(world, a) + Granted(world, b), milliseconds(60));
  world.kernel().SetOffline(CpuId(1), false);
  world.RunFor(milliseconds(1100));
  EXPECT_EQ(Granted(world, a) + Granted(world, b), milliseconds(120));
}

// ---- laws ----

// Random machines, and vCPUs whose affinities and budgets change while they block, wake and die.
class Story {
 public:
  Story()
      : random_(*rc::gen::arbitrary<uint32_t>().as("seed")),
        siblings_(*rc::gen::element(1, 2, 4).as("siblings")),
        cores_(*rc::gen::inRange(1, 4).as("cores of a node")),
        nodes_(*rc::gen::inRange(1, 3).as("nodes")),
        hotplug_(*rc::gen::arbitrary<bool>().as("hotplug")),
        takeovers_(*rc::gen::arbitrary<bool>().as("takeovers")),
        world_({.machine = "numa:" + std::to_string(nodes_) + " core:" + std::to_string(cores_) +
                           " pu:" + std::to_string(siblings_),
                .kernel = {.queue_room = *rc::gen::element<size_t>(3, 200).as("queue room")},
                .hand_over = std::chrono::microseconds(Pick(0, 100))}) {
    const int vcpus = *rc::gen::inRange(1, 16).as("vCPUs");
    for (int i = 0; i < vcpus; ++i) Attach();
  }

  World& world() { return world_; }

  void Run(Duration time) {
    for (Duration at{0}; at < time; at += std::chrono::microseconds(Pick(100, 8000)))
      world_.At(at, [this] { Disturb(); });
    world_.RunUntil(time);
    cpus_.ForEach([&](CpuId cpu) { world_.kernel().SetOffline(cpu, false); });
  }

 private:
  int Pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  void Attach() {
    const Gtid task = world_.kernel().Attach(2 + static_cast<uint32_t>(Pick(0, 4)), Pick(0, 3) > 0);
    if (Pick(0, 1) == 0) world_.kernel().SetAffinity(task, SomeCpus());
    if (Pick(0, 1) == 0) AskFor(task);
  }

  void AskFor(Gtid task) {
    const Duration period = milliseconds(Pick(1, 4) * 25);
    world_.kernel().Ask(task, period * Pick(0, 70) / 100, period);
  }

  CpuSet SomeCpus() {
    const Core& core = world_.topology().core(Pick(0, world_.topology().nr_cores() - 1));
    switch (Pick(0, 5)) {
      case 0:
        return CpuSet{1000};  // not the enclave's
      case 1:
        return CpuSet{core.cpu[Pick(0, siblings_ - 1)].value()};
      case 2:
        return core.siblings;
      case 3: {
        CpuSet some = core.siblings;
        world_.topology().cpus().ForEach([&](CpuId cpu) {
          if (Pick(0, 2) == 0) some.Insert(cpu);
        });
        return some;
      }
      default:
        return CpuSet::All();
    }
  }

  void Disturb() {
    const std::vector<Gtid> tasks = world_.kernel().Tasks();
    const Gtid task = tasks[Pick(0, static_cast<int>(tasks.size()) - 1)];
    switch (Pick(0, 9)) {
      case 0:
        return world_.kernel().Block(task);
      case 1:
      case 2:
        return world_.kernel().Wake(task);
      case 3:
        return AskFor(task);
      case 4:
        world_.kernel().Die(task);
        return Attach();
      case 5:
        return hotplug_ ? Plug() : world_.kernel().Yield(task);
      case 6:
        if (!takeovers_ || Pick(0, 5) > 0) return;
        world_.StopAgent();
        return world_.StartAgent();
      default:
        return world_.kernel().SetAffinity(task, SomeCpus());
    }
  }

  void Plug() {
    const std::vector<CpuId> all = world_.topology().cpus().ToVector();
    const CpuId cpu = all[Pick(0, static_cast<int>(all.size()) - 1)];
    const bool offline = !cpus_.Contains(cpu);
    offline ? cpus_.Insert(cpu) : cpus_.Erase(cpu);
    world_.kernel().SetOffline(cpu, offline);
  }

  std::mt19937 random_;
  const int siblings_, cores_, nodes_;
  const bool hotplug_, takeovers_;
  World world_;
  CpuSet cpus_;  // that are offline
};

CpuSet AffinityOf(World& world, Gtid task) {
  return CpuSet::FromWords(world.kernel().affinities()[GHOST_GTID_SLOT(task.value())].cpus);
}

// On a core that it may use, if there is one; promised there or not at all.
void CheckPlace(World& world, Gtid task) {
  const ghost_status_word& word = world.kernel().word(task);
  const CpuSet affinity = AffinityOf(world, task);
  const int core = world.CoreOf(task);
  RC_ASSERT(core >= 0);
  const bool somewhere = affinity.Intersects(world.topology().cpus());
  RC_ASSERT(affinity.Intersects(world.topology().core(core).siblings) == somewhere);
  RC_ASSERT(word.granted_ns == 0u || word.granted_ns == word.budget_ns);
  if (word.budget_ns > 0) RC_ASSERT(word.place != GHOST_NO_CORE);
  if (word.granted_ns > 0) RC_ASSERT(somewhere);
  if (word.granted_ns > 0) RC_ASSERT(static_cast<int>(word.place) == core);
  if (word.granted_ns == 0) RC_ASSERT(word.free_ns == 0u || word.free_ns < word.budget_ns);
}

// What is promised on each core can be kept there.
void CheckPromises(World& world) {
  std::map<int, std::vector<Demand>> promised;
  for (const Gtid task : world.kernel().Tasks()) {
    const ghost_status_word& word = world.kernel().word(task);
    if (word.granted_ns == 0) continue;
    const int core = static_cast<int>(word.place);
    promised[core].push_back(
        {.domain = DomainId(word.domain),
         .budget = Duration(static_cast<int64_t>(word.granted_ns)),
         .period = Duration(static_cast<int64_t>(word.period_ns)),
         .siblings = world.topology().core(core).SiblingsIn(AffinityOf(world, task))});
  }
  for (auto& [core, demands] : promised) {
    CoreAdmission admission(world.topology().core(core).nr_cpus, {});
    const Demand last = demands.back();
    demands.pop_back();
    for (const Demand& demand : demands) admission.Add(demand);
    RC_ASSERT(admission.Fits(last));
  }
}

RC_GTEST_PROP(AffinityLaws, VcpusLiveAndPromisesAreKeptWhereTheyMayRun, ()) {
  Story story;
  World& world = story.world();
  story.Run(milliseconds(300));
  // A second for CPUs that came back, where nobody is who would notice.
  world.RunFor(milliseconds(1500));
  for (const Gtid task : world.kernel().Tasks()) CheckPlace(world, task);
  CheckPromises(world);
  std::map<uint64_t, Duration> before;
  for (const Gtid task : world.kernel().Tasks()) before[task.value()] = world.RunTime(task);
  const uint64_t failures = world.counters().latch_failures;
  // The rest of a core that is promised nearly wholly is little, and shared.
  world.RunFor(seconds(5));
  for (const Gtid task : world.kernel().Tasks()) {
    const bool somewhere = AffinityOf(world, task).Intersects(world.topology().cpus());
    if (!somewhere || !(world.kernel().word(task).flags & GHOST_SW_RUNNABLE)) continue;
    RC_ASSERT(world.RunTime(task) > before[task.value()]);
  }
  RC_ASSERT(world.counters().latch_failures == failures);
  RC_ASSERT(world.counters().repairs == 0u);
  RC_ASSERT(world.breaches() == 0);
  RC_ASSERT(world.kernel().invalid_targets() == 0u);
}

}  // namespace
}  // namespace corral::testing
