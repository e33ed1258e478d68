// SPDX-License-Identifier: Apache-2.0
// Directed yield: a task that spins makes way for another of its domain. In a real kernel only KVM
// asks for it, so where there is no KVM these cases are skipped.
#include <cerrno>

#include "tests/conformance/suite.h"

namespace corral::conformance {
namespace {

class Yields : public ConformanceTest {
 protected:
  // Guests stay until somebody else makes them leave.
  EnclaveSpec Spec() const override { return {.tenure = seconds(5)}; }
  void SetUp() override {
    ConformanceTest::SetUp();
    if (!HasFatalFailure() && !world_->CanYieldTo()) GTEST_SKIP() << "only KVM calls yield_to()";
  }

  // A task of the domain that waits and may use that CPU only, in the run queue of which it is.
  Member NewWaitingOn(CpuId cpu, DomainId domain) {
    const Member task = NewTask(domain);
    EXPECT_TRUE(task.thread->SetAffinity(CpuSet{cpu.value()}).ok());
    Await(task.gtid, GHOST_MSG_TASK_AFFINITY_CHANGED);
    task.thread->Spin();
    Await(task.gtid, GHOST_MSG_TASK_WAKEUP);
    return task;
  }
  void OfferIt(const Member& task, Offer offer) {
    const absl::Status status = agent_->OfferTask(task.gtid, offer);
    ASSERT_TRUE(status.ok()) << status;
  }
  // What yield_to() answered.
  int YieldTo(const Member& from, const Member& to) {
    from.thread->YieldTo(*to.thread);
    EXPECT_TRUE(Eventually([&] { return from.thread->yielded().has_value(); }));
    return from.thread->yielded().value_or(-EINTR);
  }
  bool RunsOn(const Member& task, CpuId cpu) {
    return Eventually([&] { return Is(task.gtid, GHOST_SW_ONCPU); }) &&
           Word(task.gtid).cpu == cpu.value();
  }
  uint32_t NodeOf(CoreId core) { return control().cpus()[Cpu(core, 0).value()].node; }
  void ExpectGoesOn(const Member& task) {
    const Duration before = task.thread->cpu_time();
    EXPECT_TRUE(Eventually([&] { return task.thread->cpu_time() > before + milliseconds(20); }));
    EXPECT_TRUE(Is(task.gtid, GHOST_SW_ONCPU));
    EXPECT_FALSE(Comes(task.gtid, GHOST_MSG_TASK_YIELD, milliseconds(50)));
  }
};

TEST_F(Yields, TheOtherTakesItsPlaceIfBothAreOffered) {
  const DomainId domain = NewDomain();
  const CpuId cpu = Cpu(kCore, 0);
  const Member runs = NewRunnableTask(domain), waits = NewWaitingOn(cpu, domain);
  OfferIt(runs, Offer::kCore);
  OfferIt(waits, Offer::kCore);
  RunNow(kCore, {Run(runs)});
  EXPECT_EQ(YieldTo(runs, waits), 1);
  const ghost_msg taken = Await(waits.gtid, GHOST_MSG_TASK_ON_CPU);
  EXPECT_EQ(taken.flags & GHOST_MSG_F_OFFERED, GHOST_MSG_F_OFFERED);
  EXPECT_EQ(taken.cpu, cpu.value());
  const ghost_msg yielded = Await(runs.gtid, GHOST_MSG_TASK_YIELD);
  EXPECT_EQ(yielded.flags & GHOST_MSG_F_OFFERED, GHOST_MSG_F_OFFERED);
  EXPECT_EQ(yielded.arg, waits.gtid.value());
  EXPECT_TRUE(RunsOn(waits, cpu));
}

TEST_F(Yields, NeverToAnotherDomain) {
  const CpuId cpu = Cpu(kCore, 0);
  const Member runs = NewRunnableTask(NewDomain()), waits = NewWaitingOn(cpu, NewDomain());
  OfferIt(runs, Offer::kMachine);
  OfferIt(waits, Offer::kMachine);
  RunNow(kCore, {Run(runs)});
  EXPECT_EQ(YieldTo(runs, waits), 0);
  ExpectGoesOn(runs);
  EXPECT_FALSE(Is(waits.gtid, GHOST_SW_ONCPU));
}

TEST_F(Yields, AnIdleSiblingTakesTheOtherBesideIt) {
  const DomainId domain = NewDomain();
  const Member runs = NewRunnableTask(domain);
  // Without somebody else in its run queue the kernel does not even ask.
  world_->Hog(CpuId(Word(runs.gtid).cpu), seconds(10));
  const Member waits = NewRunnableTask(domain);
  RunNow(kCore, {Run(runs), Idle()});
  OfferIt(waits, Offer::kCore);
  EXPECT_EQ(YieldTo(runs, waits), 1);
  const CpuId cpu(Await(waits.gtid, GHOST_MSG_TASK_ON_CPU).cpu);
  EXPECT_TRUE(CpusOf({kCore}).Contains(cpu));
  EXPECT_NE(cpu, Cpu(kCore, 0));
  ExpectGoesOn(runs);
}

// Two that make way for each other keep the CPU for no longer than the one that was given it could.
TEST_F(Yields, WhatIsLeftOfTheSliceIsAllThatTheyHave) {
  const DomainId domain = NewDomain();
  const CpuId cpu = Cpu(kCore, 0);
  const Member first = NewRunnableTask(domain), second = NewWaitingOn(cpu, domain);
  ASSERT_TRUE(first.thread->SetAffinity(CpuSet{cpu.value()}).ok());
  Await(first.gtid, GHOST_MSG_TASK_AFFINITY_CHANGED);
  OfferIt(first, Offer::kCore);
  OfferIt(second, Offer::kCore);
  constexpr milliseconds kSlice{200}, kEach{15};
  RunNow(kCore, {Run(first, kSlice)});
  const auto had = [&] { return first.thread->cpu_time() + second.thread->cpu_time(); };
  const Duration before = had();
  for (int i = 0; i < 40; ++i) {
    world_->Pass(kEach);
    const Member& runs = i % 2 == 0 ? first : second;
    if (!Is(runs.gtid, GHOST_SW_ONCPU)) break;
    YieldTo(runs, i % 2 == 0 ? second : first);
  }
  EXPECT_TRUE(Eventually(
      [&] { return !Is(first.gtid, GHOST_SW_ONCPU) && !Is(second.gtid, GHOST_SW_ONCPU); }));
  EXPECT_GT(had() - before, kSlice / 2);
  EXPECT_LT(had() - before, kSlice + 4 * kEach) << "a slice ends at a tick, an order is late";
}

TEST_F(Yields, TheirAgentDecidesIfTheyAreNotOffered) {
  const DomainId domain = NewDomain();
  const CpuId cpu = Cpu(kCore, 0);
  const Member runs = NewRunnableTask(domain), waits = NewWaitingOn(cpu, domain);
  OfferIt(waits, Offer::kCore);
  RunNow(kCore, {Run(runs)});
  EXPECT_EQ(YieldTo(runs, waits), 1);
  const ghost_msg yielded = Await(runs.gtid, GHOST_MSG_TASK_YIELD);
  EXPECT_EQ(yielded.arg, waits.gtid.value());
  EXPECT_EQ(yielded.flags & GHOST_MSG_F_OFFERED, 0u);
  EXPECT_FALSE(Is(runs.gtid, GHOST_SW_ONCPU));
  EXPECT_FALSE(Is(waits.gtid, GHOST_SW_ONCPU));
  RunNow(kCore, {Run(waits)});
  EXPECT_TRUE(RunsOn(waits, cpu));
}

TEST_F(Yields, AnotherCoresAgentIsToldOnceWhileTheTaskWaits) {
  const DomainId domain = NewDomain();
  const Member runs = NewRunnableTask(domain);
  const Member waits = NewWaitingOn(Cpu(kSecondCore, 0), domain);
  ASSERT_TRUE(
      agent_->Associate(waits.gtid, Word(waits.gtid).barrier, QueueId(kSecondCore.value())).ok());
  const Member other = NewRunnableTask(NewDomain());
  RunNow(kSecondCore, {Run(other)});
  RunNow(kCore, {Run(runs)});
  EXPECT_EQ(YieldTo(runs, waits), 1);
  const ghost_msg told = Await(Gtid(0), GHOST_MSG_CORE_YIELDED_TO);
  EXPECT_EQ(told.arg, waits.gtid.value());
  EXPECT_EQ(told.core, kSecondCore.value());
  EXPECT_EQ(YieldTo(runs, waits), 0) << "there is nothing else to be done";
  ExpectGoesOn(runs);
  // It ran, and waits again.
  RunNow(kSecondCore, {Run(waits)});
  RunNow(kSecondCore, {Run(other)});
  Await(waits.gtid, GHOST_MSG_TASK_PREEMPT);
  EXPECT_EQ(YieldTo(runs, waits), 1);
  EXPECT_EQ(Await(Gtid(0), GHOST_MSG_CORE_YIELDED_TO).arg, waits.gtid.value());
}

// One of another core is a guest in its place, but only while that core is another domain's.
TEST_F(Yields, AGuestTakesItsPlaceIfItsOwnCoreIsAnothersDomains) {
  if (NodeOf(kCore) != NodeOf(kSecondCore)) GTEST_SKIP() << "no guests beside a task's own there";
  const DomainId domain = NewDomain(), foreign = NewDomain();
  std::vector<Member> run;
  std::vector<Target> targets, others, beside;
  for (uint32_t i = 0; i < core(kCore).nr_cpus; ++i) {
    run.push_back(NewRunnableTask(domain));
    OfferIt(run.back(), Offer::kNode);
    targets.push_back(Run(run.back()));
    others.push_back(Run(NewRunnableTask(foreign)));
    beside.push_back(Run(NewRunnableTask(domain)));
  }
  RunNow(kCore, targets);
  RunNow(kSecondCore, others);
  const Member guest = NewRunnableTask(domain);
  ASSERT_TRUE(
      agent_->Associate(guest.gtid, Word(guest.gtid).barrier, QueueId(kSecondCore.value())).ok());
  OfferIt(guest, Offer::kNode);
  // Without somebody else in its run queue the kernel does not even ask.
  world_->Hog(CpuId(Word(guest.gtid).cpu), seconds(10));
  EXPECT_EQ(YieldTo(run[0], guest), 1);
  EXPECT_EQ(Await(guest.gtid, GHOST_MSG_TASK_ON_CPU).cpu, Cpu(kCore, 0).value());
  EXPECT_EQ(Await(run[0].gtid, GHOST_MSG_TASK_YIELD).arg, guest.gtid.value());
  // And back.
  EXPECT_EQ(YieldTo(guest, run[0]), 1);
  Await(run[0].gtid, GHOST_MSG_TASK_ON_CPU);
  Await(guest.gtid, GHOST_MSG_TASK_YIELD);
  // Its own core is its domain's: there it is run, if its agent wants.
  RunNow(kSecondCore, beside);
  EXPECT_EQ(YieldTo(run[0], guest), 1);
  EXPECT_EQ(Await(Gtid(0), GHOST_MSG_CORE_YIELDED_TO).arg, guest.gtid.value());
  ExpectGoesOn(run[0]);
}

TEST_F(Yields, AffinityHolds) {
  const DomainId domain = NewDomain();
  const Member runs = NewRunnableTask(domain), beside = NewRunnableTask(domain);
  const Member waits = NewWaitingOn(Cpu(kCore, 1), domain);
  for (const Member& task : {runs, beside, waits}) OfferIt(task, Offer::kMachine);
  RunNow(kCore, {Run(runs), Run(beside)});
  EXPECT_EQ(YieldTo(runs, waits), 1);
  EXPECT_EQ(Await(Gtid(0), GHOST_MSG_CORE_YIELDED_TO).arg, waits.gtid.value());
  ExpectGoesOn(runs);
  EXPECT_FALSE(Is(waits.gtid, GHOST_SW_ONCPU));
}

TEST_F(Yields, ADecisionThatIsOnItsWayGoesFirst) {
  const DomainId domain = NewDomain();
  const CpuId cpu = Cpu(kCore, 0);
  const Member runs = NewRunnableTask(domain), next = NewRunnableTask(domain);
  const Member waits = NewWaitingOn(cpu, domain);
  OfferIt(runs, Offer::kCore);
  OfferIt(waits, Offer::kCore);
  RunNow(kCore, {Run(runs)});
  ASSERT_EQ(Commit(kCore, {Run(next)}, {.flags = GHOST_TXN_F_NO_KICK}).state, GHOST_TXN_COMPLETE);
  EXPECT_EQ(YieldTo(runs, waits), 0);
  EXPECT_EQ(YieldTo(runs, next), 0) << "it is given to a CPU already";
  EXPECT_FALSE(Is(waits.gtid, GHOST_SW_ONCPU));
}

TEST_F(Yields, WithoutAnAgentTheClassSeesToIt) {
  const DomainId domain = NewDomain();
  const CpuId cpu = Cpu(kCore, 0);
  std::vector<Member> tasks;
  tasks.reserve(4);
  for (int i = 0; i < 4; ++i) tasks.push_back(NewWaitingOn(cpu, domain));
  ASSERT_TRUE(agent_->LeaveAgent(kCore).ok());
  const auto runs = [&](const Member& task) { return Is(task.gtid, GHOST_SW_ONCPU); };
  // Each to the one before it, where a round robin comes last.
  for (int i = 0; i < 8; ++i) {
    const auto from = std::find_if(tasks.begin(), tasks.end(), runs);
    if (from == tasks.end()) {
      world_->Pass(milliseconds(1));
      continue;
    }
    const Member& to = from == tasks.begin() ? tasks.back() : from[-1];
    from->thread->YieldTo(*to.thread);
    world_->Pass(std::chrono::microseconds(50));
    EXPECT_EQ(from->thread->yielded(), 1);
    EXPECT_TRUE(runs(to)) << "in round " << i;
  }
}

}  // namespace
}  // namespace corral::conformance
