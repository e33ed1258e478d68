// SPDX-License-Identifier: Apache-2.0
// What becomes of a transaction: each state, each flag, and that a group is latched whole or not at
// all.
#include "tests/conformance/suite.h"

namespace corral::conformance {
namespace {

class Transactions : public ConformanceTest {};

TEST_F(Transactions, CompleteLatchesAllSiblings) {
  const DomainId domain = NewDomain();
  const Member a = NewRunnableTask(domain), b = NewRunnableTask(domain);
  const ghost_core_txn txn = Commit(kCore, {Run(a), Run(b)});
  EXPECT_EQ(txn.state, GHOST_TXN_COMPLETE);
  EXPECT_EQ(txn.sibling[0].state, GHOST_TXN_COMPLETE);
  EXPECT_EQ(txn.sibling[1].state, GHOST_TXN_COMPLETE);
  EXPECT_TRUE(Eventually([&] { return Is(a.gtid, GHOST_SW_ONCPU) && Is(b.gtid, GHOST_SW_ONCPU); }));
  EXPECT_EQ(Word(a.gtid).cpu, Cpu(kCore, 0).value());
  EXPECT_EQ(Word(b.gtid).cpu, Cpu(kCore, 1).value());
}

TEST_F(Transactions, StaleBarrierIsRefusedAndPoisonsItsGroup) {
  const DomainId domain = NewDomain();
  const Member a = NewRunnableTask(domain), b = NewRunnableTask(domain);
  Target old = Run(b);
  --old.barrier;
  const ghost_core_txn txn = Commit(kCore, {Run(a), old});
  EXPECT_EQ(txn.state, GHOST_TXN_TARGET_STALE);
  EXPECT_EQ(txn.sibling[0].state, GHOST_TXN_POISONED);
  EXPECT_EQ(txn.sibling[1].state, GHOST_TXN_TARGET_STALE);
  world_->Pass(milliseconds(200));
  EXPECT_FALSE(Is(a.gtid, GHOST_SW_ONCPU | GHOST_SW_LATCHED)) << "a part of a failed group ran";
  EXPECT_EQ(Pending(a.gtid), std::vector<uint32_t>()) << "nothing happened to it";
  RunNow(kCore, {Run(a), Run(b)});
}

TEST_F(Transactions, OnCpuTargetIsRefused) {
  const Member a = NewRunnableTask(NewDomain());
  RunNow(kCore, {Run(a)});
  EXPECT_EQ(Commit(kCore, {Run(a)}).state, GHOST_TXN_TARGET_ONCPU);
  EXPECT_EQ(Commit(kSecondCore, {Run(a)}).state, GHOST_TXN_TARGET_ONCPU);
}

TEST_F(Transactions, AllowOnCpuExtendsWhatRunsThere) {
  const Member a = NewRunnableTask(NewDomain());
  RunNow(kCore, {Run(a, milliseconds(100))});
  ASSERT_EQ(Commit(kCore, {Run(a)}, {.flags = GHOST_TXN_F_ALLOW_ONCPU}).state, GHOST_TXN_COMPLETE);
  EXPECT_FALSE(Comes(a.gtid, GHOST_MSG_TASK_PREEMPT, milliseconds(500)));
  EXPECT_EQ(Commit(kSecondCore, {Run(a)}, {.flags = GHOST_TXN_F_ALLOW_ONCPU}).state,
            GHOST_TXN_TARGET_ONCPU)
      << "there, not elsewhere";
}

TEST_F(Transactions, ATargetThatIsNotThere) {
  const Member a = NewRunnableTask(NewDomain());
  const Target target = Run(a);
  EXPECT_EQ(Commit(kCore, {{.target = GHOST_GTID(7, 12345), .barrier = 1}}).state,
            GHOST_TXN_TARGET_NOT_FOUND);
  EXPECT_EQ(Commit(kCore, {{.target = ~0ULL - 5, .barrier = 1}}).state, GHOST_TXN_TARGET_NOT_FOUND);
  EXPECT_EQ(Commit(kCore, {{.target = 0, .barrier = 1}}).state, GHOST_TXN_TARGET_NOT_FOUND);
  a.thread->Exit();
  ASSERT_TRUE(control().DetachTask(a.gtid).ok());
  Await(a.gtid, GHOST_MSG_TASK_DEPARTED);
  EXPECT_EQ(Commit(kCore, {target}).state, GHOST_TXN_TARGET_NOT_FOUND);
}

TEST_F(Transactions, ABlockedTargetIsNotRunnable) {
  const Member a = NewTask(NewDomain());
  EXPECT_EQ(Commit(kCore, {Run(a)}).state, GHOST_TXN_TARGET_NOT_RUNNABLE);
}

TEST_F(Transactions, SiblingsOfTwoDomainsAreAnInvalidTarget) {
  const Member a = NewRunnableTask(NewDomain()), b = NewRunnableTask(NewDomain());
  EXPECT_EQ(Commit(kCore, {Run(a), Run(b)}).state, GHOST_TXN_INVALID_TARGET);
  RunNow(kCore, {Run(a)});
  EXPECT_EQ(Commit(kCore, {Keep(), Run(b)}).state, GHOST_TXN_INVALID_TARGET)
      << "what is kept counts";
  EXPECT_EQ(Commit(kCore, {Idle(), Run(b)}).state, GHOST_TXN_COMPLETE);
  EXPECT_TRUE(Eventually([&] { return Is(b.gtid, GHOST_SW_ONCPU); }));
}

TEST_F(Transactions, ATaskTwiceIsRefused) {
  const Member a = NewRunnableTask(NewDomain());
  const ghost_core_txn txn = Commit(kCore, {Run(a), Run(a)});
  EXPECT_NE(txn.state, GHOST_TXN_COMPLETE);
  EXPECT_FALSE(Is(a.gtid, GHOST_SW_LATCHED));
  RunNow(kCore, {Run(a)});
}

TEST_F(Transactions, AgentBarrierIsCheckedIfAskedFor) {
  const DomainId domain = NewDomain();
  const Member a = NewRunnableTask(domain);
  const uint64_t before = core(kCore).agent_barrier;
  ASSERT_TRUE(agent_->ArmTimer(Cpu(kCore, 0), agent_->Now() + milliseconds(1), 1).ok());
  Await(Gtid(0), GHOST_MSG_CPU_TIMER_EXPIRED);
  Options options = {.flags = GHOST_TXN_F_AGENT_BARRIER, .agent_barrier = before};
  EXPECT_EQ(Commit(kCore, {Run(a)}, options).state, GHOST_TXN_AGENT_STALE);
  options.agent_barrier = core(kCore).agent_barrier;
  EXPECT_EQ(Commit(kCore, {Run(a)}, options).state, GHOST_TXN_COMPLETE);
  EXPECT_EQ(core(kCore).agent_barrier, options.agent_barrier + 1) << "a commit counts";
}

TEST_F(Transactions, AgentBarrierRisesWithWakeups) {
  const Member a = NewTask(NewDomain());
  uint64_t sum = core(kCore).agent_barrier + core(kSecondCore).agent_barrier;
  a.thread->Spin();
  Await(a.gtid, GHOST_MSG_TASK_WAKEUP);
  EXPECT_GT(core(kCore).agent_barrier + core(kSecondCore).agent_barrier, sum);
}

TEST_F(Transactions, ElidedAndForcedBarrierIncrements) {
  const Member a = NewRunnableTask(NewDomain());
  const uint64_t start = core(kCore).agent_barrier;
  ASSERT_EQ(Commit(kCore, {Run(a)}, {.flags = GHOST_TXN_F_ELIDE_BARRIER_INC}).state,
            GHOST_TXN_COMPLETE);
  EXPECT_EQ(core(kCore).agent_barrier, start);
  EXPECT_NE(Commit(kCore, {{.target = GHOST_GTID(7, 9), .barrier = 1}}).state, GHOST_TXN_COMPLETE);
  EXPECT_EQ(core(kCore).agent_barrier, start) << "a failure does not count";
  EXPECT_NE(Commit(kCore, {{.target = GHOST_GTID(7, 9), .barrier = 1}},
                   {.flags = GHOST_TXN_F_BARRIER_INC_ON_FAILURE})
                .state,
            GHOST_TXN_COMPLETE);
  EXPECT_EQ(core(kCore).agent_barrier, start + 1) << "unless it is asked for";
}

TEST_F(Transactions, InvalidFlags) {
  const Member a = NewRunnableTask(NewDomain());
  EXPECT_EQ(Commit(kCore, {Run(a)}, {.flags = 1u << 20}).state, GHOST_TXN_INVALID_FLAGS);
  EXPECT_EQ(Commit(kCore, {Run(a)},
                   {.flags = GHOST_TXN_F_ELIDE_BARRIER_INC | GHOST_TXN_F_BARRIER_INC_ON_FAILURE})
                .state,
            GHOST_TXN_INVALID_FLAGS);
  EXPECT_EQ(Commit(kCore, {Run(a, Duration(0), GHOST_RUN_F_NEED_NOT_IDLE)}).state,
            GHOST_TXN_INVALID_FLAGS);
  EXPECT_EQ(Commit(kCore, {Idle(GHOST_RUN_F_SEND_ON_CPU)}).state, GHOST_TXN_INVALID_FLAGS);
  EXPECT_EQ(Commit(kCore, {{.run_flags = GHOST_RUN_F_ELIDE_PREEMPT}}).state,
            GHOST_TXN_INVALID_FLAGS);
  EXPECT_FALSE(Is(a.gtid, GHOST_SW_LATCHED));
}

TEST_F(Transactions, ACoreThatIsNotThere) {
  EXPECT_EQ(Commit(CoreId(9999), {}).state, GHOST_TXN_INVALID_CPU);
}

TEST_F(Transactions, ACoreOfAnotherEnclaveIsNotPermitted) {
  const Member a = NewRunnableTask(NewDomain());
  EXPECT_EQ(Commit(kForeignCore, {Run(a)}).state, GHOST_TXN_NOT_PERMITTED);
  EXPECT_EQ(Commit(CoreId(0), {Run(a)}).state, GHOST_TXN_NOT_PERMITTED) << "nor one of no enclave";
  EXPECT_FALSE(Is(a.gtid, GHOST_SW_LATCHED));
}

TEST_F(Transactions, ACoreWithoutAnAgent) {
  const Member a = NewTask(NewDomain());
  second_core_agent_->Die();
  ASSERT_TRUE(Eventually([&] { return core(kSecondCore).agent_tid == 0; }));
  EXPECT_EQ(Commit(kSecondCore, {Run(a)}).state, GHOST_TXN_NO_AGENT);
}

TEST_F(Transactions, AnOfflineSibling) {
  const Member a = NewRunnableTask(NewDomain());
  ASSERT_TRUE(world_->SetOnline(Cpu(kCore, 1), false).ok());
  EXPECT_EQ(Commit(kCore, {Keep(), Run(a)}).state, GHOST_TXN_CPU_OFFLINE);
  RunNow(kCore, {Run(a)});
  ASSERT_TRUE(world_->SetOnline(Cpu(kCore, 1), true).ok());
  ASSERT_EQ(Commit(kCore, {Idle()}).state, GHOST_TXN_COMPLETE);
  Await(a.gtid, GHOST_MSG_TASK_PREEMPT);
  RunNow(kCore, {Keep(), Run(a)});
}

TEST_F(Transactions, IdleHoldsTheSiblingIdle) {
  const DomainId domain = NewDomain();
  const Member a = NewRunnableTask(domain), b = NewRunnableTask(domain);
  RunNow(kCore, {Run(a), Run(b)});
  ASSERT_EQ(Commit(kCore, {Keep(), Idle()}).state, GHOST_TXN_COMPLETE);
  Await(b.gtid, GHOST_MSG_TASK_PREEMPT);
  world_->Pass(milliseconds(200));
  EXPECT_TRUE(Is(a.gtid, GHOST_SW_ONCPU)) << "KEEP keeps";
  EXPECT_FALSE(Is(b.gtid, GHOST_SW_ONCPU)) << "IDLE idles";
}

TEST_F(Transactions, NoKickWaitsForTheNextPick) {
  const DomainId domain = NewDomain();
  const Member a = NewRunnableTask(domain), b = NewRunnableTask(domain);
  RunNow(kCore, {Run(a)});
  ASSERT_EQ(Commit(kCore, {Run(b)}, {.flags = GHOST_TXN_F_NO_KICK}).state, GHOST_TXN_COMPLETE);
  // A pick may come by itself at any time; until it comes, the decision waits.
  EXPECT_TRUE(Is(b.gtid, GHOST_SW_LATCHED | GHOST_SW_ONCPU));
  a.thread->Sleep();
  EXPECT_TRUE(Eventually([&] { return Is(b.gtid, GHOST_SW_ONCPU); }));
}

TEST_F(Transactions, SeveralCoresInOneCall) {
  const DomainId one = NewDomain(), two = NewDomain();
  const Member a = NewRunnableTask(one), b = NewRunnableTask(two);
  auto commit = std::make_unique<ghost_commit>();
  commit->nr = 3;
  const std::pair<CoreId, const Member*> wanted[] = {
      {kCore, &a}, {kForeignCore, &a}, {kSecondCore, &b}};
  for (int i = 0; i < 3; ++i) {
    ghost_core_txn& txn = commit->txn[i];
    txn.core = wanted[i].first.value();
    for (ghost_txn_sibling& sibling : txn.sibling) sibling.target = GHOST_TARGET_KEEP;
    const Target target = Run(*wanted[i].second);
    txn.sibling[0] = {.target = target.target, .barrier = target.barrier};
  }
  ASSERT_TRUE(agent_->Commit(*commit).ok());
  EXPECT_EQ(commit->txn[0].state, GHOST_TXN_COMPLETE);
  EXPECT_EQ(commit->txn[1].state, GHOST_TXN_NOT_PERMITTED) << "one failure is nobody else's";
  EXPECT_EQ(commit->txn[2].state, GHOST_TXN_COMPLETE);
  EXPECT_EQ(commit->completed, 2u);
  EXPECT_TRUE(Eventually([&] { return Is(a.gtid, GHOST_SW_ONCPU) && Is(b.gtid, GHOST_SW_ONCPU); }));
}

}  // namespace
}  // namespace corral::conformance
