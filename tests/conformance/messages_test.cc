// SPDX-License-Identifier: Apache-2.0
// Which message comes when: ghOSt's table (SOSP'21 section 3.1, facts of ghost-kernel's ghost.c), a
// case per rule.
#include "tests/conformance/suite.h"

namespace corral::conformance {
namespace {

class Messages : public ConformanceTest {};

TEST_F(Messages, NewIsTheFirstAndTellsWhetherTheTaskWaits) {
  const DomainId domain = NewDomain();
  Thread& sleeper = NewThread();
  const ghost_msg asleep = Await(Attach(sleeper, domain), GHOST_MSG_TASK_NEW);
  EXPECT_EQ(asleep.flags & GHOST_MSG_F_RUNNABLE, 0u);
  EXPECT_EQ(asleep.tid, static_cast<uint32_t>(sleeper.tid()));
  EXPECT_EQ(asleep.domain, domain.value());
}

TEST_F(Messages, NewOfARunningTaskIsDeferredUntilItIsOffCpu) {
  Thread& thread = NewThread();
  thread.Spin();
  world_->Pass(milliseconds(50));
  const Gtid gtid = Attach(thread, NewDomain());
  const ghost_msg m = Await(gtid, GHOST_MSG_TASK_NEW);
  EXPECT_EQ(m.flags & GHOST_MSG_F_RUNNABLE, GHOST_MSG_F_RUNNABLE);
  EXPECT_FALSE(Is(gtid, GHOST_SW_ONCPU));
  RunNow(kCore, {Run({&thread, gtid})});
}

TEST_F(Messages, WakeupTellsWhereItRanAndWhoWokeIt) {
  const Member task = NewTask(NewDomain());
  task.thread->Spin();
  const ghost_msg m = Await(task.gtid, GHOST_MSG_TASK_WAKEUP);
  EXPECT_GE(m.cpu, 0);
  EXPECT_LT(m.arg, control().info().nr_cpus);
}

TEST_F(Messages, BlockedComesWhenTheTaskSleeps) {
  const Member task = NewRunnableTask(NewDomain());
  RunNow(kCore, {Run(task)});
  task.thread->Sleep();
  EXPECT_EQ(Await(task.gtid, GHOST_MSG_TASK_BLOCKED).cpu, Cpu(kCore, 0).value());
  EXPECT_FALSE(Is(task.gtid, GHOST_SW_RUNNABLE));
}

TEST_F(Messages, YieldComesOnceThePreviousTaskReallyLeaves) {
  const Member task = NewRunnableTask(NewDomain());
  RunNow(kCore, {Run(task)});
  task.thread->Yield();
  EXPECT_EQ(Await(task.gtid, GHOST_MSG_TASK_YIELD).arg, 0u) << "in nobody's favour";
  EXPECT_TRUE(Is(task.gtid, GHOST_SW_RUNNABLE));
  EXPECT_FALSE(Is(task.gtid, GHOST_SW_ONCPU));
}

TEST_F(Messages, PreemptByANewerTransaction) {
  const DomainId domain = NewDomain();
  const Member first = NewRunnableTask(domain), second = NewRunnableTask(domain);
  RunNow(kCore, {Run(first)});
  RunNow(kCore, {Run(second)});
  EXPECT_EQ(Await(first.gtid, GHOST_MSG_TASK_PREEMPT).flags & GHOST_MSG_F_WAS_LATCHED, 0u);
}

TEST_F(Messages, PreemptAtTheEndOfTheSlice) {
  const Member task = NewRunnableTask(NewDomain());
  RunNow(kCore, {Run(task, milliseconds(20))});
  const ghost_msg m = Await(task.gtid, GHOST_MSG_TASK_PREEMPT);
  EXPECT_GE(m.runtime_ns, static_cast<uint64_t>(Duration(milliseconds(20)).count()));
}

// Each change of its nice value takes it off its queue and puts it back where it runs; its agent
// hears that it waits, and decides nothing.
TEST_F(Messages, ATaskDoesNotKeepItsCpuByChangingItself) {
  const Member task = NewRunnableTask(NewDomain());
  RunNow(kCore, {Run(task, milliseconds(20))});
  const Duration before = task.thread->cpu_time();
  for (int i = 0; i < 400; ++i) {
    ASSERT_TRUE(task.thread->SetNice(1 + i % 2).ok());
    world_->Pass(milliseconds(1));
  }
  Await(task.gtid, GHOST_MSG_TASK_PREEMPT);
  EXPECT_FALSE(Is(task.gtid, GHOST_SW_ONCPU));
  EXPECT_LT(task.thread->cpu_time() - before, milliseconds(200));
}

TEST_F(Messages, NoPreemptWithoutASlice) {
  const Member task = NewRunnableTask(NewDomain());
  RunNow(kCore, {Run(task)});
  EXPECT_FALSE(Comes(task.gtid, GHOST_MSG_TASK_PREEMPT, milliseconds(500)));
  EXPECT_TRUE(Is(task.gtid, GHOST_SW_ONCPU));
}

TEST_F(Messages, PreemptByAHigherClass) {
  const Member task = NewRunnableTask(NewDomain());
  RunNow(kCore, {Run(task)});
  world_->Hog(Cpu(kCore, 0), milliseconds(600));
  Await(task.gtid, GHOST_MSG_TASK_PREEMPT);
}

TEST_F(Messages, PreemptOfALatchedTaskSaysSo) {
  const DomainId domain = NewDomain();
  const Member runs = NewRunnableTask(domain);
  const Member waits = NewRunnableTask(domain), next = NewRunnableTask(domain);
  // A pick may come by itself between two commits: then there is no latch left to be replaced.
  uint32_t flags = 0;
  for (int i = 0; i < 20 && !(flags & GHOST_MSG_F_WAS_LATCHED); ++i) {
    RunNow(kCore, {Run(runs)});
    Commit(kCore, {Run(waits)}, {.flags = GHOST_TXN_F_NO_KICK});
    Commit(kCore, {Run(next)});
    flags = Await(waits.gtid, GHOST_MSG_TASK_PREEMPT).flags;
    ASSERT_EQ(Commit(kCore, {Idle(), Idle()}).state, GHOST_TXN_COMPLETE);
    Await(next.gtid, GHOST_MSG_TASK_PREEMPT);
    ASSERT_TRUE(Eventually([&] { return !Is(runs.gtid, GHOST_SW_ONCPU); }));
  }
  EXPECT_EQ(flags & GHOST_MSG_F_WAS_LATCHED, GHOST_MSG_F_WAS_LATCHED);
}

TEST_F(Messages, ElidePreemptKeepsQuiet) {
  const DomainId domain = NewDomain();
  const Member first = NewRunnableTask(domain), second = NewRunnableTask(domain);
  RunNow(kCore, {Run(first)});
  const uint64_t before = Word(first.gtid).barrier;
  RunNow(kCore, {Run(second, Duration(0), GHOST_RUN_F_ELIDE_PREEMPT)});
  EXPECT_FALSE(Comes(first.gtid, GHOST_MSG_TASK_PREEMPT, milliseconds(300)));
  EXPECT_GT(Word(first.gtid).barrier, before) << "the event counts all the same";
  RunNow(kCore, {Run(first)});
}

TEST_F(Messages, DepartedWhenItLeavesAlive) {
  const Member task = NewRunnableTask(NewDomain());
  ASSERT_TRUE(control().DetachTask(task.gtid).ok());
  Await(task.gtid, GHOST_MSG_TASK_DEPARTED);
  EXPECT_NE(Word(task.gtid).gtid, task.gtid.value());
}

TEST_F(Messages, DeadWhenItDies) {
  const Member task = NewRunnableTask(NewDomain());
  RunNow(kCore, {Run(task)});
  task.thread->Exit();
  Await(task.gtid, GHOST_MSG_TASK_DEAD);
}

TEST_F(Messages, AffinityChangedAndTheTaskIsForcedOffItsCpu) {
  const Member task = NewRunnableTask(NewDomain());
  RunNow(kCore, {Run(task)});
  ASSERT_TRUE(task.thread->SetAffinity(CpusOf({kCore, kSecondCore})).ok());
  Await(task.gtid, GHOST_MSG_TASK_AFFINITY_CHANGED);
  Await(task.gtid, GHOST_MSG_TASK_PREEMPT);
  RunNow(kCore, {Run(task)});
}

TEST_F(Messages, AffinityIsThereToBeReadWhenItIsAnnounced) {
  const Member task = NewTask(NewDomain());
  CpuSet one;
  one.Insert(Cpu(kSecondCore, 1));
  ASSERT_TRUE(task.thread->SetAffinity(one).ok());
  Await(task.gtid, GHOST_MSG_TASK_AFFINITY_CHANGED);
  const ghost_affinity& now = agent_->affinities()[GHOST_GTID_SLOT(task.gtid.value())];
  for (int cpu = 0; cpu < static_cast<int>(control().info().nr_cpus); ++cpu)
    EXPECT_EQ(now.cpus[cpu / 64] >> (cpu % 64) & 1, one.Contains(CpuId(cpu)) ? 1u : 0u) << cpu;
}

TEST_F(Messages, PriorityChanged) {
  const Member task = NewTask(NewDomain());
  const ghost_status_word& word = agent_->status_words()[GHOST_GTID_SLOT(task.gtid.value())];
  EXPECT_EQ(word.priority, 100u);
  ASSERT_TRUE(task.thread->SetNice(5).ok());
  Await(task.gtid, GHOST_MSG_TASK_PRIORITY_CHANGED);
  EXPECT_LT(word.priority, 40u);
  EXPECT_GT(word.priority, 25u);
}

TEST_F(Messages, AttributesChanged) {
  const Member task = NewTask(NewDomain());
  ASSERT_TRUE(control()
                  .UpdateTask(task.gtid, {.weight = 300,
                                          .budget = milliseconds(5),
                                          .period = milliseconds(20),
                                          .cap = milliseconds(10),
                                          .cap_period = milliseconds(40),
                                          .node = 1})
                  .ok());
  Await(task.gtid, GHOST_MSG_TASK_ATTRIBUTES_CHANGED);
  const ghost_status_word& word = agent_->status_words()[GHOST_GTID_SLOT(task.gtid.value())];
  EXPECT_EQ(word.weight, 300u);
  EXPECT_EQ(word.budget_ns, 5'000'000u);
  EXPECT_EQ(word.period_ns, 20'000'000u);
  EXPECT_EQ(word.cap_ns, 10'000'000u);
  EXPECT_EQ(word.cap_period_ns, 40'000'000u);
  EXPECT_EQ(word.node, 1u);
  EXPECT_FALSE(control().UpdateTask(task.gtid, {.cap = milliseconds(10)}).ok()) << "in what time?";
}

TEST_F(Messages, WhatATaskWaitedForAddsUp) {
  const DomainId domain = NewDomain();
  const Member task = NewTask(domain);
  const ghost_waits& waits = control().waits()[GHOST_GTID_SLOT(task.gtid.value())];
  for (const uint64_t ns : waits.ns) EXPECT_EQ(ns, 0u) << "of the slot's former task";
  ghost_waits told = {};
  told.ns[GHOST_WAIT_TURN] = 1000;
  told.ns[GHOST_WAIT_AGENT] = 5;
  ASSERT_TRUE(agent_->Account(task.gtid, told).ok());
  ASSERT_TRUE(agent_->Account(task.gtid, told).ok());
  EXPECT_EQ(waits.ns[GHOST_WAIT_TURN], 2000u);
  EXPECT_EQ(waits.ns[GHOST_WAIT_AGENT], 10u);
  EXPECT_EQ(waits.ns[GHOST_WAIT_CAP], 0u);
  EXPECT_TRUE(absl::IsNotFound(agent_->Account(Gtid(GHOST_GTID(1, 77777)), told)));
  task.thread->Exit();
  Await(task.gtid, GHOST_MSG_TASK_DEAD);
  EXPECT_TRUE(absl::IsNotFound(agent_->Account(task.gtid, told)));
}

// Kept off its CPU by its agent, it waits as long as that takes, and it is counted once.
TEST_F(Messages, HowLongATaskWaitedForACpuIsCounted) {
  const Member task = NewTask(NewDomain());
  world_->Pass(milliseconds(1));  // a simulated clock begins with 0, which is no time
  task.thread->Spin();
  Await(task.gtid, GHOST_MSG_TASK_WAKEUP);
  const ghost_tally& tally = control().tallies()[GHOST_GTID_SLOT(task.gtid.value())];
  const auto waits = [&](Duration least) {
    uint64_t sum = 0;
    const unsigned from = ghost_wait_bucket(static_cast<uint64_t>(least.count()));
    for (unsigned i = from; i < GHOST_WAIT_BUCKETS; ++i) sum += tally.waits[i];
    return sum;
  };
  EXPECT_EQ(waits(Duration(0)), 0u) << "of the slot's former task";
  world_->Pass(milliseconds(60));
  RunNow(kCore, {Run(task)});
  EXPECT_TRUE(Eventually([&] { return waits(Duration(0)) > 0; }));
  EXPECT_EQ(waits(milliseconds(51)), 1u);
  EXPECT_GE(Duration(static_cast<int64_t>(tally.waited_ns)), milliseconds(60));
  EXPECT_EQ(tally.core_moves, 0u);
}

TEST_F(Messages, ATaskThatComesToAnotherCoreIsCounted) {
  const Member task = NewRunnableTask(NewDomain());
  const ghost_tally& tally = control().tallies()[GHOST_GTID_SLOT(task.gtid.value())];
  RunNow(kCore, {Run(task)});
  RunNow(kCore, {Idle()});
  Await(task.gtid, GHOST_MSG_TASK_PREEMPT);
  RunNow(kCore, {Run(task)});
  EXPECT_EQ(tally.core_moves, 0u);
  RunNow(kCore, {Idle()});
  Await(task.gtid, GHOST_MSG_TASK_PREEMPT);
  RunNow(kSecondCore, {Run(task)});
  EXPECT_TRUE(Eventually([&] { return tally.core_moves > 0; }));
  EXPECT_EQ(tally.core_moves, 1u);
  const bool far = control().cpus()[Cpu(kCore, 0).value()].node !=
                   control().cpus()[Cpu(kSecondCore, 0).value()].node;
  EXPECT_EQ(tally.node_moves, far ? 1u : 0u);
}

TEST_F(Messages, TimeThatTheHostHasACpuIsCounted) {
  const ghost_cpu_state& cpu = control().cpu_states()[Cpu(kCore, 0).value()];
  const uint64_t before = cpu.host_ns;
  const Time begin = control().Now();
  world_->Hog(Cpu(kCore, 0), milliseconds(200));
  const auto counted = [&] { return Duration(static_cast<int64_t>(cpu.host_ns - before)); };
  while (counted() < milliseconds(150) && control().Now() < begin + std::chrono::seconds(20))
    world_->Pass(milliseconds(20));
  EXPECT_GE(counted(), milliseconds(150));
  EXPECT_LE(counted(), control().Now() - begin);
}

TEST_F(Messages, AVerdictStandsInTheStatusWordUntilSomethingElseIsAskedFor) {
  const Member task = NewTask(NewDomain());
  const TaskAttributes asked = {.budget = milliseconds(5), .period = milliseconds(20)};
  ASSERT_TRUE(control().UpdateTask(task.gtid, asked).ok());
  const ghost_status_word& word = agent_->status_words()[GHOST_GTID_SLOT(task.gtid.value())];
  EXPECT_EQ(word.place, GHOST_NO_CORE);
  ASSERT_TRUE(
      agent_->Grant(task.gtid, {.granted = milliseconds(5), .place = CoreId(kSecondCore)}).ok());
  EXPECT_EQ(word.granted_ns, 5'000'000u);
  EXPECT_EQ(word.place, CoreId(kSecondCore).value());
  TaskAttributes other = asked;
  other.weight = 300;
  ASSERT_TRUE(control().UpdateTask(task.gtid, other).ok());
  EXPECT_EQ(word.granted_ns, 5'000'000u) << "a weight has nothing to do with it";
  other.budget = milliseconds(6);
  ASSERT_TRUE(control().UpdateTask(task.gtid, other).ok());
  EXPECT_EQ(word.granted_ns, 0u);
  EXPECT_EQ(word.place, GHOST_NO_CORE);
}

TEST_F(Messages, AVerdictPromisesNoMoreThanWasAskedForAndOnlyOnCoresOfTheEnclave) {
  const Member task = NewTask(NewDomain());
  ASSERT_TRUE(control()
                  .UpdateTask(task.gtid, {.budget = milliseconds(5), .period = milliseconds(20)})
                  .ok());
  const auto grant = [&](int64_t ms, CoreId place) {
    return agent_->Grant(task.gtid, {.granted = milliseconds(ms), .place = place});
  };
  EXPECT_TRUE(absl::IsInvalidArgument(grant(6, CoreId(kCore))));
  EXPECT_TRUE(absl::IsInvalidArgument(grant(5, CoreId(kForeignCore))));
  EXPECT_TRUE(absl::IsNotFound(agent_->Grant(Gtid(GHOST_GTID(1, 77777)), {})));
  EXPECT_TRUE(grant(0, CoreId(kCore)).ok());
}

TEST_F(Messages, OnCpuOncePerCommitThatAsksForIt) {
  const Member task = NewRunnableTask(NewDomain());
  RunNow(kCore, {Run(task, Duration(0), GHOST_RUN_F_SEND_ON_CPU)});
  EXPECT_EQ(Await(task.gtid, GHOST_MSG_TASK_ON_CPU).cpu, Cpu(kCore, 0).value());
  ASSERT_EQ(Commit(kCore, {Idle()}).state, GHOST_TXN_COMPLETE);
  Await(task.gtid, GHOST_MSG_TASK_PREEMPT);
  RunNow(kCore, {Run(task)});
  EXPECT_FALSE(Comes(task.gtid, GHOST_MSG_TASK_ON_CPU, milliseconds(300)));
}

TEST_F(Messages, LatchFailureWhenTheDecisionCannotBeCarriedOut) {
  const Member task = NewTask(NewDomain());
  CpuSet elsewhere;
  elsewhere.Insert(Cpu(kSecondCore, 0));
  ASSERT_TRUE(task.thread->SetAffinity(elsewhere).ok());
  task.thread->Spin();
  Await(task.gtid, GHOST_MSG_TASK_WAKEUP);
  ASSERT_EQ(Commit(kCore, {Run(task)}).state, GHOST_TXN_COMPLETE);
  Await(task.gtid, GHOST_MSG_TASK_LATCH_FAILURE);
  EXPECT_TRUE(Is(task.gtid, GHOST_SW_RUNNABLE));
  RunNow(kSecondCore, {Run(task)});
}

TEST_F(Messages, ChildrenAreNewInTheirParentsDomain) {
  const DomainId domain = NewDomain();
  const Member parent = NewRunnableTask(domain);
  RunNow(kCore, {Run(parent)});
  parent.thread->Fork();
  ASSERT_TRUE(Eventually([&] { return !parent.thread->children().empty(); }));
  const pid_t child = parent.thread->children().front();
  ASSERT_TRUE(Eventually([&] {
    for (const ghost_status_word& word : control().status_words()) {
      if (word.tid == static_cast<uint32_t>(child) && (word.flags & GHOST_SW_ANNOUNCED)) {
        Await(Gtid(word.gtid), GHOST_MSG_TASK_NEW);
        return word.domain == domain.value();
      }
    }
    return false;
  }));
}

TEST_F(Messages, TimerExpiresWithItsCookie) {
  const Time when = agent_->Now() + milliseconds(30);
  ASSERT_TRUE(agent_->ArmTimer(Cpu(kCore, 1), when, 0xc0ffee).ok());
  const ghost_msg m = Await(Gtid(0), GHOST_MSG_CPU_TIMER_EXPIRED);
  EXPECT_EQ(m.arg, 0xc0ffeeu);
  EXPECT_EQ(m.cpu, Cpu(kCore, 1).value());
  EXPECT_GE(m.time_ns, static_cast<uint64_t>(when.time_since_epoch().count()));
  EXPECT_FALSE(Comes(Gtid(0), GHOST_MSG_CPU_TIMER_EXPIRED, milliseconds(200))) << "once";
}

TEST_F(Messages, ADisarmedTimerDoesNotExpire) {
  ASSERT_TRUE(agent_->ArmTimer(Cpu(kCore, 0), agent_->Now() + milliseconds(300), 1).ok());
  ASSERT_TRUE(agent_->ArmTimer(Cpu(kCore, 0), Time::max(), 0).ok());
  EXPECT_FALSE(Comes(Gtid(0), GHOST_MSG_CPU_TIMER_EXPIRED, milliseconds(600)));
}

TEST_F(Messages, ATimerOfAForeignCpuIsRefused) {
  EXPECT_TRUE(absl::IsPermissionDenied(
      agent_->ArmTimer(Cpu(kForeignCore, 0), agent_->Now() + milliseconds(1), 1)));
  EXPECT_FALSE(agent_->ArmTimer(CpuId(99999), agent_->Now() + milliseconds(1), 1).ok());
}

TEST_F(Messages, NotIdleComesOnceAndOnlyIfAskedFor) {
  const DomainId domain = NewDomain();
  const Member task = NewRunnableTask(domain);
  ASSERT_EQ(Commit(kCore, {Idle(), Idle()}).state, GHOST_TXN_COMPLETE);
  RunNow(kCore, {Run(task)});
  EXPECT_FALSE(Comes(Gtid(0), GHOST_MSG_CPU_NOT_IDLE, milliseconds(200)));
  ASSERT_EQ(Commit(kCore, {Idle(), Idle(GHOST_RUN_F_NEED_NOT_IDLE)}).state, GHOST_TXN_COMPLETE);
  Await(task.gtid, GHOST_MSG_TASK_PREEMPT);
  RunNow(kCore, {Keep(), Run(task)});
  EXPECT_EQ(Await(Gtid(0), GHOST_MSG_CPU_NOT_IDLE).cpu, Cpu(kCore, 1).value());
}

class DeliveringMessages : public ConformanceTest {
 protected:
  EnclaveSpec Spec() const override {
    return {.deliver_ticks = true, .deliver_availability = true};
  }
};

TEST_F(DeliveringMessages, TicksWhileATaskOfTheClassRuns) {
  const Member task = NewRunnableTask(NewDomain());
  EXPECT_FALSE(Comes(Gtid(0), GHOST_MSG_CPU_TICK, milliseconds(200)));
  RunNow(kCore, {Run(task)});
  EXPECT_EQ(Await(Gtid(0), GHOST_MSG_CPU_TICK).cpu, Cpu(kCore, 0).value());
}

TEST_F(DeliveringMessages, BusyAndAvailableAsOtherClassesComeAndGo) {
  world_->Hog(Cpu(kCore, 0), milliseconds(200));
  // Of this CPU, and after the message that had the barrier `after`.
  const auto next = [&](uint32_t type, uint64_t after) {
    for (;;) {
      const ghost_msg m = Await(Gtid(0), type);
      if (HasFailure() || (m.cpu == Cpu(kCore, 0).value() && m.barrier > after)) return m;
    }
  };
  const ghost_msg busy = next(GHOST_MSG_CPU_BUSY, 0);
  next(GHOST_MSG_CPU_AVAILABLE, busy.barrier);
}

}  // namespace
}  // namespace corral::conformance
