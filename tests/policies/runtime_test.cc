// SPDX-License-Identifier: Apache-2.0
// The per-core loop and what it rests on, with the secure VM policy on top: nothing that happens
// may lose a task.
#include <gtest/gtest.h>

#include "tests/policies/world.h"

namespace corral::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Every runnable task gets its share again, and nothing had to be repaired.
void ExpectAllServed(World& world, Duration span = milliseconds(500)) {
  std::map<uint64_t, Duration> before;
  for (const Gtid t : world.kernel().Tasks()) before[t.value()] = world.RunTime(t);
  world.RunFor(span);
  for (const Gtid t : world.kernel().Tasks()) {
    if (!(world.kernel().word(t).flags & GHOST_SW_RUNNABLE)) continue;
    EXPECT_GT(world.RunTime(t), before[t.value()]) << "slot " << GHOST_GTID_SLOT(t.value());
  }
  EXPECT_EQ(world.breaches(), 0);
  EXPECT_EQ(world.counters().repairs, 0u);
}

TEST(PerCoreLoop, TasksAreSpreadAndServed) {
  World world({.machine = "numa:2 core:2 pu:2"});
  for (uint32_t d = 2; d < 12; ++d) {
    world.kernel().Attach(d, true);
    world.kernel().Attach(d, true);
  }
  ExpectAllServed(world);
  EXPECT_EQ(world.counters().adopted, 20u);
}

TEST(PerCoreLoop, ATaskThatDiesFreesItsSlotForAnother) {
  World world({.machine = "numa:1 core:2 pu:2"});
  world.kernel().Attach(2, true);
  const Gtid b = world.kernel().Attach(3, true);
  world.RunFor(milliseconds(5));
  world.kernel().Die(b);
  const Gtid c = world.kernel().Attach(4, true, 1);
  EXPECT_EQ(GHOST_GTID_SLOT(c.value()), GHOST_GTID_SLOT(b.value()));
  world.RunFor(milliseconds(1));
  EXPECT_TRUE(world.kernel().IsRunning(c));
  ExpectAllServed(world);
}

// The same, but the lead hears of the new task before the owner hears that the old one is gone.
TEST(PerCoreLoop, ASlotIsReusedBeforeItsOwnerNoticed) {
  World world({.machine = "numa:1 core:2 pu:2"});
  world.kernel().Attach(2, true);
  const Gtid b = world.kernel().Attach(3, true);
  world.RunFor(milliseconds(5));
  ASSERT_NE(world.CoreOf(b), world.state().lead());
  world.kernel().Die(b);
  const Gtid c = world.kernel().Attach(4, true, static_cast<int>(GHOST_GTID_SLOT(b.value())));
  world.StepLoop(world.state().lead());
  world.RunFor(milliseconds(1));
  EXPECT_TRUE(world.kernel().IsRunning(c));
  EXPECT_EQ(world.counters().released, 1u);
  ExpectAllServed(world);
}

TEST(PerCoreLoop, OverflowMakesItRescan) {
  World world({.machine = "numa:1 core:2 pu:2", .kernel = {.queue_room = 4}});
  std::vector<Gtid> tasks;
  for (uint32_t d = 2; d < 22; ++d) tasks.push_back(world.kernel().Attach(d, d % 2 == 0));
  ExpectAllServed(world);
  // Wake-ups and blocks get lost as well.
  for (const Gtid t : tasks) {
    if (world.kernel().IsRunning(t) || world.kernel().IsHeld(t)) {
      world.kernel().Block(t);
    } else {
      world.kernel().Wake(t);
    }
  }
  ExpectAllServed(world);
  EXPECT_GT(world.counters().overflows, 0u);
  for (size_t i = 0; i < tasks.size(); i += 3) world.kernel().Die(tasks[i]);
  ExpectAllServed(world);
}

TEST(PerCoreLoop, QueuesThatAreLostWhollyCostNothingButARescan) {
  World world({.machine = "numa:1 core:2 pu:2"});
  for (uint32_t d = 2; d < 12; ++d) world.kernel().Attach(d, true);
  world.RunFor(milliseconds(50));
  for (const Gtid t : world.kernel().Tasks()) world.kernel().Block(t);
  for (const Gtid t : world.kernel().Tasks()) world.kernel().Wake(t);
  world.kernel().ForgetQueues();
  // Nothing wakes the loops: the queues are empty. The self-check does, within its period.
  world.RunFor(seconds(2));
  ExpectAllServed(world);
}

TEST(PerCoreLoop, ANewAgentTakesOverWithTasksOnCpu) {
  World world({.machine = "numa:2 core:2 pu:2"});
  for (uint32_t d = 2; d < 10; ++d) {
    world.kernel().Attach(d, true);
    world.kernel().Attach(d, d % 2 == 0);
  }
  world.RunFor(milliseconds(33));
  std::map<uint64_t, int> cores;
  for (const Gtid t : world.kernel().Tasks()) cores[t.value()] = world.CoreOf(t);
  world.StopAgent();
  // Meanwhile the class goes on, and the former agent's queues fill.
  for (const Gtid t : world.kernel().Tasks()) {
    if (GHOST_GTID_SLOT(t.value()) % 3 == 0) world.kernel().Block(t);
    if (GHOST_GTID_SLOT(t.value()) % 3 == 1) world.kernel().Wake(t);
  }
  world.kernel().Attach(20, true);
  world.StartAgent();
  ExpectAllServed(world);
  for (const auto& [t, core] : cores) EXPECT_EQ(world.CoreOf(Gtid(t)), core) << "nothing moves";
}

TEST(PerCoreLoop, AFirstAgentFindsTasksThatTheClassRuns) {
  World world({.machine = "numa:1 core:2 pu:2"});
  world.StopAgent();
  const Gtid a = world.kernel().Attach(2, true);
  const Gtid b = world.kernel().Attach(3, true);
  world.kernel().ClassRuns(b, CpuId(2));
  world.kernel().ClassRuns(a, CpuId(0));
  world.StartAgent();
  world.RunFor(milliseconds(1));
  EXPECT_EQ(world.CoreOf(a), 0);
  EXPECT_EQ(world.CoreOf(b), 1) << "it stays where it runs";
  EXPECT_TRUE(world.kernel().IsRunning(a) && world.kernel().IsRunning(b));
  ExpectAllServed(world);
}

// Events in the middle of the association: before it, the barrier moves on; after it, the message
// goes to the new queue.
TEST(PerCoreLoop, EventsDuringAssociationAreNotLost) {
  for (const bool before : {true, false}) {
    for (const bool wakes : {true, false}) {
      World world({.machine = "numa:1 core:3 pu:2"});
      world.kernel().Attach(2, true);
      int left = 3;
      auto event = [&](Gtid t) {
        if (left-- <= 0) return;
        wakes ? world.kernel().Wake(t) : world.kernel().Block(t);
        if (left == 1) wakes ? world.kernel().Block(t) : world.kernel().Wake(t);
      };
      (before ? world.kernel().before_associate : world.kernel().after_associate) = event;
      world.kernel().Attach(3, !wakes);
      world.kernel().Attach(4, !wakes);
      world.RunFor(milliseconds(30));
      for (const Gtid t : world.kernel().Tasks()) world.kernel().Wake(t);
      ExpectAllServed(world);
    }
  }
}

// The class posts to the queue it had looked up before the association: the old queue's reader
// passes the news on.
TEST(PerCoreLoop, AMessageThatWentToTheOldQueueIsPassedOn) {
  World world({.machine = "numa:1 core:2 pu:2"});
  world.kernel().Attach(2, true);
  const Gtid b = world.kernel().Attach(3, false);
  world.RunFor(milliseconds(5));
  const int owner = world.CoreOf(b);
  ASSERT_NE(owner, world.state().lead());
  // To the lead's queue, as if the association had not been seen.
  auto& word = const_cast<ghost_status_word&>(world.kernel().word(b));
  const uint32_t queue = std::exchange(word.queue, GHOST_QUEUE_DEFAULT);
  world.kernel().Wake(b);
  word.queue = queue;
  world.RunFor(milliseconds(1));
  EXPECT_TRUE(world.kernel().IsRunning(b));
  EXPECT_EQ(world.counters().forwarded_messages, 1u);
  ExpectAllServed(world);
}

class CommitFailure : public ::testing::TestWithParam<uint32_t> {};

TEST_P(CommitFailure, IsRecoveredFrom) {
  for (int times : {1, 2, 7, 50}) {
    World world({.machine = "numa:1 core:1 pu:2"});
    for (uint32_t d = 2; d < 5; ++d) {
      world.kernel().Attach(d, true);
      world.kernel().Attach(d, true);
    }
    world.RunFor(milliseconds(12));
    for (int i = 0; i < times; ++i) world.kernel().FailNextCommit(GetParam());
    world.RunFor(seconds(6));  // an offline sibling is tried ten times a second
    ExpectAllServed(world);
    EXPECT_GT(world.counters().commit_states[GetParam()], 0u);
    EXPECT_TRUE(world.agents().loop(0).status().ok());
  }
}

INSTANTIATE_TEST_SUITE_P(EachState, CommitFailure,
                         ::testing::Values(GHOST_TXN_ABORTED, GHOST_TXN_TARGET_ONCPU,
                                           GHOST_TXN_TARGET_STALE, GHOST_TXN_TARGET_NOT_FOUND,
                                           GHOST_TXN_TARGET_NOT_RUNNABLE, GHOST_TXN_AGENT_STALE,
                                           GHOST_TXN_CPU_OFFLINE, GHOST_TXN_CPU_UNAVAIL,
                                           GHOST_TXN_INVALID_FLAGS, GHOST_TXN_INVALID_CPU,
                                           GHOST_TXN_INVALID_TARGET, GHOST_TXN_NOT_PERMITTED,
                                           GHOST_TXN_NO_AGENT, GHOST_TXN_POISONED),
                         [](const auto& info) { return std::string(TxnStateName(info.param)); });

TEST(PerCoreLoop, AnUnknownTransactionStateIsCountedAndRetried) {
  World world({});
  world.kernel().FailNextCommit(77);
  world.kernel().Attach(2, true);
  ExpectAllServed(world);
}

TEST(PerCoreLoop, AnotherAbiEndsTheLoop) {
  World world({});
  world.kernel().FailNextCommit(GHOST_TXN_UNSUPPORTED_VERSION);
  world.kernel().Attach(2, true);
  world.RunFor(milliseconds(1));
  EXPECT_EQ(world.agents().loop(0).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(PerCoreLoop, CallsThatFailAreRetried) {
  World world({});
  world.kernel().FailNextCall(absl::InternalError("EINTR"));
  world.kernel().FailNextCall(absl::PermissionDeniedError("not an agent"));
  world.kernel().Attach(2, true);
  ExpectAllServed(world);
  EXPECT_EQ(world.counters().failed_calls, 2u);
  EXPECT_EQ(world.counters().reentered, 1u);
}

TEST(PerCoreLoop, AClassThatIsEjectedEndsTheLoop) {
  World world({});
  const_cast<ghost_class_info&>(world.kernel().info()).enabled = 0;
  world.RunFor(seconds(2));
  EXPECT_EQ(world.agents().loop(0).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(PerCoreLoop, ATaskThatItsCpusRefuseDoesNotHoldUpOthers) {
  World world({});
  const Gtid bad = world.kernel().Attach(2, true);
  const Gtid good = world.kernel().Attach(2, true);
  const Gtid other = world.kernel().Attach(3, true);
  world.kernel().RefuseCpu(bad, true);
  world.RunFor(seconds(1));
  EXPECT_GT(world.RunTime(good), milliseconds(400));
  EXPECT_GT(world.RunTime(other), milliseconds(400));
  EXPECT_LT(world.counters().latch_failures, 100u) << "it is not tried without pause";
  world.kernel().RefuseCpu(bad, false);
  ExpectAllServed(world);
}

TEST(PerCoreLoop, APinnedTaskFindsItsCpu) {
  World world({.machine = "numa:2 core:4 pu:2"});
  for (uint32_t d = 2; d < 20; ++d) world.kernel().Attach(d, true);
  const Gtid pinned = world.kernel().Attach(20, true);
  const Gtid nowhere = world.kernel().Attach(21, true);
  world.kernel().SetAffinity(pinned, CpuSet{13});
  world.kernel().SetAffinity(nowhere, CpuSet{});
  world.RunFor(seconds(1));
  EXPECT_EQ(world.CoreOf(pinned), 6);
  EXPECT_GT(world.RunTime(pinned), milliseconds(100));
  const uint64_t failures = world.counters().latch_failures;
  world.RunFor(seconds(10));
  EXPECT_LT(world.counters().latch_failures - failures, 3000u) << "the search gets slower";
  world.kernel().SetAffinity(nowhere, CpuSet{4});
  ExpectAllServed(world, seconds(3));
}

// Preempted where migration is disabled, and pinned elsewhere then.
TEST(PerCoreLoop, ATaskThatCanGoOnOnlyWhereItIsDoesSo) {
  for (const int cpu : {3, 4}) {
    World world({.machine = "numa:1 core:3 pu:2"});
    const Gtid tied = world.kernel().Attach(2, true);
    world.kernel().SetAffinity(tied, CpuSet{cpu});
    world.kernel().Attach(3, true);
    world.RunFor(milliseconds(1));
    world.kernel().SetAffinity(tied, CpuSet{2});
    world.kernel().Tie(tied, CpuId(cpu));
    world.RunFor(milliseconds(100));
    EXPECT_EQ(world.kernel().Running(CpuId(cpu)), tied);
    // It may migrate again, and is made to.
    world.kernel().HostTakes(CpuId(cpu));
    world.RunFor(milliseconds(5));
    EXPECT_EQ(world.kernel().Running(CpuId(2)), tied) << "and is where it shall be";
    ExpectAllServed(world);
  }
}

TEST(PerCoreLoop, TasksLeaveACoreThatIsOffline) {
  World world({.machine = "numa:1 core:4 pu:2"});
  for (uint32_t d = 2; d < 10; ++d) world.kernel().Attach(d, true);
  world.RunFor(seconds(1));
  for (const int cpu : {2, 3, 6, 7}) world.kernel().SetOffline(CpuId(cpu), true);
  world.RunFor(seconds(1));
  ExpectAllServed(world, seconds(1));
  const uint64_t given = world.counters().given;
  world.RunFor(seconds(5));
  EXPECT_LT(world.counters().given - given, 100u) << "they go on wandering";
  // Without any CPU they wander slowly, and come back with the first.
  for (int cpu = 0; cpu < 8; ++cpu) world.kernel().SetOffline(CpuId(cpu), true);
  world.RunFor(seconds(10));
  for (const int cpu : {4, 5}) world.kernel().SetOffline(CpuId(cpu), false);
  world.RunFor(seconds(2));
  ExpectAllServed(world, seconds(2));
}

// A decision that vanishes, because its task is changed, must not leave the former domain's task on
// the sibling.
TEST(PerCoreLoop, ADecisionThatVanishesLeavesNobodyBehind) {
  World world({.hand_over = milliseconds(1)});
  const Gtid a = world.kernel().Attach(2, true);
  world.RunFor(milliseconds(5));
  const Gtid b = world.kernel().Attach(3, true);
  const Gtid c = world.kernel().Attach(3, true);
  world.RunUntil(std::chrono::microseconds(10500));
  ASSERT_TRUE(world.kernel().IsRunning(a)) << "b and c are latched, a has not left yet";
  ASSERT_TRUE(world.kernel().HasLatch(CoreId(0)));
  world.kernel().Block(b);
  world.RunFor(milliseconds(4));
  EXPECT_TRUE(world.kernel().IsRunning(c));
  EXPECT_FALSE(world.kernel().IsRunning(a));
  ExpectAllServed(world);
}

TEST(PerCoreLoop, WhatTheClassDoesByItselfIsFollowed) {
  World world({});
  const Gtid a = world.kernel().Attach(2, true);
  const Gtid b = world.kernel().Attach(3, true);
  world.RunFor(milliseconds(1));
  const Gtid first = world.kernel().IsRunning(a) ? a : b;
  const Gtid second = first == a ? b : a;
  world.kernel().HostTakes(CpuId(0));
  world.kernel().ClassRuns(second, CpuId(0));
  world.kernel().SendCoreRescued(CoreId(0));
  world.RunFor(milliseconds(5));
  EXPECT_TRUE(world.kernel().IsRunning(second)) << "its tenure began with the rescue";
  ExpectAllServed(world);
}

// Two cores with two tasks each, of which one on each waits; the class then runs that of the second
// core on the first one.
void RunElsewhere(World& world, Gtid& waiting) {
  const Gtid a = world.kernel().Attach(2, true);
  const Gtid b = world.kernel().Attach(3, true);
  const Gtid c = world.kernel().Attach(4, true);
  const Gtid d = world.kernel().Attach(5, true);
  world.RunFor(milliseconds(1));
  waiting = world.kernel().IsHeld(d) ? d : b;
  ASSERT_TRUE(world.kernel().IsHeld(waiting));
  ASSERT_EQ(world.CoreOf(waiting), 1);
  world.kernel().Block(a);
  world.kernel().Block(c);
  world.kernel().ClassRuns(waiting, CpuId(0));
  world.RunFor(milliseconds(50));
}

TEST(PerCoreLoop, ATaskOfAnotherCoreThatTheClassRunsHereChangesHands) {
  World world({.machine = "numa:1 core:2 pu:2", .sharing = Offer::kCore});
  Gtid waiting{0};
  ASSERT_NO_FATAL_FAILURE(RunElsewhere(world, waiting));
  EXPECT_EQ(world.CoreOf(waiting), 0);
  EXPECT_EQ(world.counters().given, 1u);
  ExpectAllServed(world);
}

TEST(PerCoreLoop, OneThatWasOfferedOnlyVisits) {
  World world({.machine = "numa:1 core:2 pu:2", .sharing = Offer::kMachine});
  Gtid waiting{0};
  ASSERT_NO_FATAL_FAILURE(RunElsewhere(world, waiting));
  EXPECT_EQ(world.CoreOf(waiting), 1);
  EXPECT_EQ(world.counters().given, 0u);
}

TEST(PerCoreLoop, AChangeOfDomainIsObeyed) {
  World world({});
  const Gtid a = world.kernel().Attach(2, true);
  const Gtid b = world.kernel().Attach(2, false);
  world.RunFor(milliseconds(1));
  world.kernel().ChangeDomain(b, 7);
  world.RunFor(milliseconds(1));
  world.kernel().Wake(b);
  world.RunFor(milliseconds(1));
  EXPECT_TRUE(world.kernel().IsRunning(a));
  EXPECT_FALSE(world.kernel().IsRunning(b)) << "it is of another domain now";
  ExpectAllServed(world);
  EXPECT_EQ(world.kernel().invalid_targets(), 0u);
}

// A loop that looks at the status word before it comes to the message finds that message stale.
TEST(PerCoreLoop, WhatIsAskedForIsJudgedHoweverItIsNoticed) {
  for (const bool by_message : {true, false}) {
    World world({.machine = "numa:1 core:2 pu:2"});
    world.kernel().Attach(2, true);
    const Gtid b = world.kernel().Attach(3, true);
    world.RunFor(milliseconds(5));
    const int owner = world.CoreOf(b);
    ASSERT_NE(owner, world.state().lead());
    world.kernel().lose_messages = !by_message;
    world.kernel().Ask(b, milliseconds(30), milliseconds(100));
    world.kernel().lose_messages = false;
    if (!by_message) world.state().Post(world.state().lead(), owner, GHOST_GTID_SLOT(b.value()));
    world.RunFor(milliseconds(5));
    EXPECT_EQ(Duration(world.kernel().word(b).granted_ns), milliseconds(30)) << by_message;
    ExpectAllServed(world);
  }
}

// Something else was asked for in between, and nobody looked.
TEST(PerCoreLoop, WhatIsAskedForAgainIsAnsweredAgain) {
  World world({.machine = "numa:1 core:2 pu:2"});
  world.kernel().Attach(2, true);
  const Gtid b = world.kernel().Attach(3, true);
  for (int round = 0; round < 2; ++round) {
    world.kernel().Ask(b, milliseconds(40), milliseconds(100));
    world.kernel().Ask(b, milliseconds(30), milliseconds(100));
    world.RunFor(milliseconds(5));
    EXPECT_EQ(Duration(world.kernel().word(b).granted_ns), milliseconds(30));
  }
}

TEST(PerCoreLoop, TheSelfCheckFindsWhatWasLostWithoutATrace) {
  World world({});
  const Gtid a = world.kernel().Attach(2, false);
  world.RunFor(milliseconds(1));
  world.kernel().lose_messages = true;
  world.kernel().Wake(a);
  const Gtid b = world.kernel().Attach(3, true);
  world.kernel().lose_messages = false;
  world.RunFor(seconds(4));
  EXPECT_GT(world.RunTime(a), Duration(0));
  EXPECT_GT(world.RunTime(b), Duration(0));
  EXPECT_EQ(world.counters().repairs, 2u) << "and says so";
}

TEST(SlotMailbox, KeepsEveryPostOnce) {
  SlotMailbox mailbox(70000);
  EXPECT_TRUE(mailbox.empty());
  for (uint32_t slot : {0u, 63u, 64u, 4095u, 4096u, 69999u, 64u}) mailbox.Post(slot);
  std::vector<uint32_t> taken;
  mailbox.TakeAll([&](uint32_t slot) {
    taken.push_back(slot);
    if (slot == 63) mailbox.Post(5);
  });
  EXPECT_EQ(taken, (std::vector<uint32_t>{0, 63, 64, 4095, 4096, 69999}));
  taken.clear();
  mailbox.TakeAll([&](uint32_t slot) { taken.push_back(slot); });
  EXPECT_EQ(taken, std::vector<uint32_t>{5});
  EXPECT_TRUE(mailbox.empty());
}

TEST(Topology, SyntheticMachinesHaveNodesCoresAndSiblings) {
  const Topology t = Topology::FromHwlocSynthetic("numa:2 core:2 pu:2").value();
  EXPECT_EQ(t.nr_cores(), 4);
  EXPECT_EQ(t.nr_nodes(), 2);
  EXPECT_EQ(t.cpus().Format(), "0-7");
  EXPECT_EQ(t.SiblingsOf(CpuId(5)).Format(), "4-5");
  EXPECT_EQ(t.core(t.CoreOf(CpuId(6))).node, 1);
  EXPECT_EQ(t.core(3).SiblingOf(CpuId(7)), 1);
  EXPECT_EQ(t.Restrict(CpuSet{0, 1, 2, 4, 5}).cpus().Format(), "0-1,4-5");
  EXPECT_EQ(t.CoreOf(CpuId(800)), -1);
  EXPECT_FALSE(Topology::FromHwlocSynthetic("nonsense:").ok());
  EXPECT_TRUE(Topology::FromHost().ok());
}

}  // namespace
}  // namespace corral::testing
