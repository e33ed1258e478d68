// SPDX-License-Identifier: Apache-2.0
// What the class may do with a task because its agent offered it: who takes it, who does not, and
// that the agent hears of it.
#include <algorithm>

#include "tests/conformance/suite.h"

namespace corral::conformance {
namespace {

class Offers : public ConformanceTest {
 protected:
  // Long enough for whoever wants it.
  static constexpr milliseconds kLong{200};

  void OfferIt(const Member& task, Offer offer) {
    const absl::Status status = agent_->OfferTask(task.gtid, offer);
    ASSERT_TRUE(status.ok()) << status;
  }
  // Makes it runnable and returns the CPU that took it. What is offered to its own core is the
  // agent's if no CPU idles there when it wakes up, which a thread of the host's may have brought
  // about: then once more.
  CpuId WakeAndAwaitTaker(const Member& task) {
    for (int i = 0; i < 5; ++i) {
      task.thread->Spin();
      if (Word(task.gtid).offer != GHOST_OFFER_CORE || IsTaken(task)) break;
      Await(task.gtid, GHOST_MSG_TASK_WAKEUP);
      RunNow(kSecondCore, {Run(task)});
      task.thread->Sleep();
      Await(task.gtid, GHOST_MSG_TASK_BLOCKED);
    }
    const ghost_msg m = Await(task.gtid, GHOST_MSG_TASK_ON_CPU);
    EXPECT_EQ(m.flags & GHOST_MSG_F_OFFERED, GHOST_MSG_F_OFFERED);
    return CpuId(m.cpu);
  }
  bool IsTaken(const Member& task) { return Comes(task.gtid, GHOST_MSG_TASK_ON_CPU, kLong); }
  // One task of a domain that nobody else is in has the core, and its siblings idle.
  Member Occupy(CoreId core) {
    const Member other = NewRunnableTask(NewDomain());
    RunNow(core, {Run(other), Idle()});
    return other;
  }
  uint32_t NodeOf(CoreId core) { return control().cpus()[Cpu(core, 0).value()].node; }
};

TEST_F(Offers, AnIdleCpuOfItsCoreTakesATaskThatWakesUp) {
  const Member task = NewTask(NewDomain());
  OfferIt(task, Offer::kCore);
  EXPECT_EQ(Word(task.gtid).offer, static_cast<uint32_t>(GHOST_OFFER_CORE));
  EXPECT_TRUE(CpusOf({kCore}).Contains(WakeAndAwaitTaker(task)));
  EXPECT_TRUE(Eventually([&] { return task.thread->cpu_time() > milliseconds(1); }));
  EXPECT_TRUE(Is(task.gtid, GHOST_SW_ONCPU));
  // It stays offered.
  task.thread->Sleep();
  Await(task.gtid, GHOST_MSG_TASK_BLOCKED);
  WakeAndAwaitTaker(task);
  EXPECT_GE(core(kCore).taken, 2u);
}

TEST_F(Offers, AnIdleSiblingOfItsDomainsTakesIt) {
  const DomainId domain = NewDomain();
  const Member first = NewRunnableTask(domain), second = NewTask(domain);
  RunNow(kCore, {Run(first), Idle()});
  OfferIt(second, Offer::kCore);
  const CpuId taker = WakeAndAwaitTaker(second);
  EXPECT_TRUE(CpusOf({kCore}).Contains(taker));
  EXPECT_NE(taker, Cpu(kCore, 0)) << "that one is the other's";
}

TEST_F(Offers, NoOtherCoreTakesWhatIsOfferedToItsOwn) {
  Occupy(kCore);
  const Member task = NewTask(NewDomain());
  OfferIt(task, Offer::kCore);
  task.thread->Spin();
  EXPECT_FALSE(IsTaken(task));
  EXPECT_FALSE(Is(task.gtid, GHOST_SW_ONCPU));
}

TEST_F(Offers, AnIdleCoreTakesWhatIsOfferedSoFar) {
  Occupy(kCore);
  const Member task = NewTask(NewDomain());
  OfferIt(task, NodeOf(kCore) == NodeOf(kSecondCore) ? Offer::kNode : Offer::kMachine);
  EXPECT_TRUE(CpusOf({kSecondCore}).Contains(WakeAndAwaitTaker(task)));
}

TEST_F(Offers, OnePutUpIsTakenByACoreThatBecomesIdle) {
  Occupy(kCore);
  const Member other = Occupy(kSecondCore), task = NewTask(NewDomain());
  OfferIt(task, Offer::kMachine);
  task.thread->Spin();
  EXPECT_FALSE(IsTaken(task)) << "beside another domain";
  other.thread->Sleep();
  EXPECT_TRUE(CpusOf({kSecondCore}).Contains(CpuId(Await(task.gtid, GHOST_MSG_TASK_ON_CPU).cpu)));
}

TEST_F(Offers, ARevokedTaskNeverRunsThroughTheRing) {
  Occupy(kCore);
  const Member other = Occupy(kSecondCore), task = NewTask(NewDomain());
  OfferIt(task, Offer::kMachine);
  task.thread->Spin();
  Await(task.gtid, GHOST_MSG_TASK_WAKEUP);
  const Duration before = task.thread->cpu_time();
  OfferIt(task, Offer::kNone);
  other.thread->Sleep();
  Await(other.gtid, GHOST_MSG_TASK_BLOCKED);
  EXPECT_FALSE(IsTaken(task));
  EXPECT_EQ(task.thread->cpu_time(), before);
}

// Revoked while it wakes up and CPUs look for it: taken before, or not at all.
TEST_F(Offers, ARevocationThatRacesWithTheTakingIsDecided) {
  const Member task = NewTask(NewDomain());
  int taken = 0;
  constexpr int kRounds = 40;
  for (int i = 0; i < kRounds; ++i) {
    OfferIt(task, Offer::kMachine);
    task.thread->Spin();
    world_->Pass(std::chrono::nanoseconds(i * i * 10));
    const absl::Status revoked = agent_->OfferTask(task.gtid, Offer::kNone);
    ASSERT_TRUE(revoked.ok() || absl::IsFailedPrecondition(revoked)) << revoked;
    Await(task.gtid, GHOST_MSG_TASK_WAKEUP);
    if (revoked.ok()) {
      const bool before = Is(task.gtid, GHOST_SW_ONCPU);
      world_->Pass(milliseconds(5));
      EXPECT_EQ(Is(task.gtid, GHOST_SW_ONCPU), before) << "round " << i;
    }
    if (!revoked.ok()) {
      ASSERT_TRUE(Eventually([&] { return Is(task.gtid, GHOST_SW_ONCPU); })) << "round " << i;
    }
    const bool on_cpu = Is(task.gtid, GHOST_SW_ONCPU);
    taken += on_cpu;
    if (on_cpu) Await(task.gtid, GHOST_MSG_TASK_ON_CPU);
    if (!on_cpu) RunNow(kCore, {Run(task)});
    task.thread->Sleep();
    Await(task.gtid, GHOST_MSG_TASK_BLOCKED);
  }
  printf("taken %d times of %d\n", taken, kRounds);
}

TEST_F(Offers, ADecisionGoesBeforeAGuest) {
  Occupy(kCore);
  const Member guest = NewTask(NewDomain());
  OfferIt(guest, Offer::kMachine);
  ASSERT_TRUE(CpusOf({kSecondCore}).Contains(WakeAndAwaitTaker(guest)));
  const DomainId domain = NewDomain();
  const Member a = NewRunnableTask(domain), b = NewRunnableTask(domain);
  RunNow(kSecondCore, {Run(a), Run(b)});
  Await(guest.gtid, GHOST_MSG_TASK_PREEMPT);
  EXPECT_FALSE(Is(guest.gtid, GHOST_SW_ONCPU));
}

TEST_F(Offers, AGuestIsAskedAboutAgainAfterATenure) {
  Occupy(kCore);
  const Member guest = NewTask(NewDomain());
  OfferIt(guest, Offer::kMachine);
  WakeAndAwaitTaker(guest);
  Await(guest.gtid, GHOST_MSG_TASK_PREEMPT);
  Await(guest.gtid, GHOST_MSG_TASK_ON_CPU);
}

TEST_F(Offers, AffinityHolds) {
  Occupy(kCore);
  const Member task = NewTask(NewDomain());
  CpuSet there;
  there.Insert(Cpu(kSecondCore, 1));
  ASSERT_TRUE(task.thread->SetAffinity(there).ok());
  Await(task.gtid, GHOST_MSG_TASK_AFFINITY_CHANGED);
  OfferIt(task, Offer::kMachine);
  EXPECT_EQ(WakeAndAwaitTaker(task), Cpu(kSecondCore, 1));
}

TEST_F(Offers, OfferingWhatIsNotThereIsRefused) {
  const Member task = NewTask(NewDomain());
  EXPECT_TRUE(absl::IsNotFound(agent_->OfferTask(Gtid(GHOST_GTID(1, 77777)), Offer::kCore)));
  EXPECT_TRUE(absl::IsInvalidArgument(
      agent_->OfferTask(task.gtid, static_cast<Offer>(static_cast<int>(GHOST_NR_OFFERS)))));
  EXPECT_EQ(Word(task.gtid).offer, static_cast<uint32_t>(GHOST_OFFER_NONE));
}

}  // namespace
}  // namespace corral::conformance
