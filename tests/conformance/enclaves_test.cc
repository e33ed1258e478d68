// SPDX-License-Identifier: Apache-2.0
// Enclaves and their agents: who may do what, hand-over in place, what happens without an agent,
// and what a newcomer can find out.
#include "tests/conformance/suite.h"

namespace corral::conformance {
namespace {

class Enclaves : public ConformanceTest {};

TEST_F(Enclaves, ACpuBelongsToOneEnclaveOnly) {
  const auto second = control().CreateEnclave({.name = "second", .cpus = CpusOf({kCore})});
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
  EXPECT_NE(second.status().message().find("belongs to enclave tested"), std::string::npos)
      << second.status();
}

TEST_F(Enclaves, ACoreIsNotSplit) {
  CpuSet half;
  half.Insert(Cpu(kForeignCore, 0));
  const auto split = control().CreateEnclave({.name = "split", .cpus = half});
  EXPECT_TRUE(absl::IsInvalidArgument(split.status())) << split.status();
}

TEST_F(Enclaves, DisjointOnesLiveSideBySide) {
  const auto other = control().CreateEnclave({.name = "other", .cpus = CpusOf({kForeignCore})});
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(core(kForeignCore).enclave, other->value());
  const DomainId ours = NewDomain();
  const auto theirs = control().CreateDomain(*other, {}, "theirs");
  ASSERT_TRUE(theirs.ok());
  EXPECT_NE(*theirs, ours);
  // Theirs runs without an agent, on their core only; ours waits for ours.
  Thread& thread = NewThread();
  thread.Spin();
  const Gtid foreign = Attach(thread, *theirs);
  EXPECT_TRUE(Eventually([&] { return Is(foreign, GHOST_SW_ONCPU); }));
  EXPECT_TRUE(CpusOf({kForeignCore}).Contains(CpuId(Word(foreign).cpu)));
  EXPECT_EQ(Commit(kCore, {{.target = foreign.value(), .barrier = Word(foreign).barrier}}).state,
            GHOST_TXN_TARGET_NOT_FOUND)
      << "a task of another enclave does not exist for us";
  ASSERT_TRUE(control().DetachTask(foreign).ok());
  EXPECT_TRUE(Eventually([&] { return control().DestroyEnclave(*other).ok(); }));
  EXPECT_EQ(core(kForeignCore).enclave, 0u);
}

TEST_F(Enclaves, ACoreThatLeavesIsFreeOfItsTasks) {
  const Member stays = NewRunnableTask(NewDomain());
  const Member leaves = NewRunnableTask(NewDomain());
  RunNow(kCore, {Run(stays)});
  RunNow(kSecondCore, {Run(leaves)});
  EXPECT_TRUE(absl::IsFailedPrecondition(control().ReshapeEnclave(enclave_, CpusOf({kCore}))))
      << "it has an agent";
  second_core_agent_.reset();
  ASSERT_TRUE(control().ReshapeEnclave(enclave_, CpusOf({kCore})).ok());
  EXPECT_EQ(core(kSecondCore).enclave, 0u);
  EXPECT_TRUE(Eventually([&] { return !Is(leaves.gtid, GHOST_SW_ONCPU); }));
  EXPECT_TRUE(Is(stays.gtid, GHOST_SW_ONCPU));
  RunNow(kCore, {Keep(), Idle()});
  RunNow(kCore, {Run(leaves)});
  EXPECT_EQ(CpusOf({kCore}).Contains(CpuId(Word(leaves.gtid).cpu)), true);
  const auto other = control().CreateEnclave({.name = "other", .cpus = CpusOf({kSecondCore})});
  ASSERT_TRUE(other.ok()) << other.status();
  ASSERT_TRUE(control().DestroyEnclave(*other).ok());
}

TEST_F(Enclaves, WhatACoreThatLeavesWouldHearAnotherOneHears) {
  const DomainId domain = NewDomain();
  const Member a = NewTask(domain);
  const auto associated = agent_->Associate(a.gtid, Word(a.gtid).barrier, QueueId(kCore.value()));
  ASSERT_TRUE(associated.ok()) << associated.status();
  ASSERT_TRUE(agent_->LeaveAgent(kCore).ok());
  ASSERT_TRUE(control().ReshapeEnclave(enclave_, CpusOf({kSecondCore})).ok());
  second_core_agent_.reset();
  ASSERT_TRUE(agent_->EnterAgent(kSecondCore).ok());
  a.thread->Spin();
  Await(a.gtid, GHOST_MSG_TASK_WAKEUP);
  NewTask(domain);  // it is announced
  RunNow(kSecondCore, {Run(a)});
  ASSERT_TRUE(agent_->LeaveAgent(kSecondCore).ok());
}

TEST_F(Enclaves, ACoreThatComesIsUsed) {
  ASSERT_TRUE(agent_->LeaveAgent(kCore).ok());
  second_core_agent_.reset();
  ASSERT_TRUE(control().ReshapeEnclave(enclave_, CpusOf({kCore, kSecondCore, kForeignCore})).ok());
  EXPECT_EQ(core(kForeignCore).enclave, enclave_.value());
  const Member a = NewTask(NewDomain());
  CpuSet one;
  one.Insert(Cpu(kForeignCore, 0));
  ASSERT_TRUE(a.thread->SetAffinity(one).ok());
  a.thread->Spin();
  EXPECT_TRUE(Eventually([&] { return a.thread->cpu_time() > milliseconds(50); }));
  CpuSet half;
  half.Insert(Cpu(kForeignCore, 0));
  EXPECT_TRUE(absl::IsInvalidArgument(control().ReshapeEnclave(enclave_, half)));
  EXPECT_TRUE(absl::IsInvalidArgument(control().ReshapeEnclave(enclave_, CpuSet())));
  EXPECT_TRUE(absl::IsNotFound(control().ReshapeEnclave(EnclaveId(60), CpusOf({kCore}))));
}

TEST_F(Enclaves, OneWithTasksIsNotDestroyed) {
  const Member task = NewTask(NewDomain());
  EXPECT_FALSE(control().DestroyEnclave(enclave_).ok());
  EXPECT_EQ(Word(task.gtid).enclave, enclave_.value());
}

TEST_F(Enclaves, ADomainIsFoundAgainByItsKey) {
  const DomainKey key = {1, 2, 3};
  const auto first = control().CreateDomain(enclave_, key, "vm");
  const auto again = control().CreateDomain(enclave_, key, "vm");
  ASSERT_TRUE(first.ok() && again.ok());
  EXPECT_EQ(*first, *again);
}

TEST_F(Enclaves, AnAgentNeedsACoreOfItsEnclave) {
  const absl::Status status = agent_->EnterAgent(kForeignCore);
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
  EXPECT_FALSE(agent_->EnterAgent(CoreId(9999)).ok());
}

TEST_F(Enclaves, ACoreHasOneAgent) {
  const std::unique_ptr<Companion> second = world_->RunAsAgent(*agent_, kCore);
  EXPECT_TRUE(absl::IsFailedPrecondition(second->entered())) << second->entered();
}

TEST_F(Enclaves, WithoutAnAgentTheClassSchedules) {
  const DomainId one = NewDomain(), two = NewDomain();
  const Member a = NewRunnableTask(one), b = NewRunnableTask(one), c = NewRunnableTask(two);
  ASSERT_TRUE(agent_->LeaveAgent(kCore).ok());
  second_core_agent_.reset();
  for (const Member& m : {a, b, c}) {
    const Duration before = m.thread->cpu_time();
    EXPECT_TRUE(Eventually([&] { return m.thread->cpu_time() > before + milliseconds(30); }));
  }
}

TEST_F(Enclaves, WithoutAnAgentAffinityHolds) {
  const Member a = NewTask(NewDomain());
  CpuSet one;
  one.Insert(Cpu(kSecondCore, 1));
  ASSERT_TRUE(a.thread->SetAffinity(one).ok());
  ASSERT_TRUE(agent_->LeaveAgent(kCore).ok());
  second_core_agent_.reset();
  a.thread->Spin();
  EXPECT_TRUE(Eventually([&] { return a.thread->cpu_time() > milliseconds(50); }));
  EXPECT_EQ(Word(a.gtid).cpu, Cpu(kSecondCore, 1).value());
}

// Tasks that wake up where a host's thread computes do not wait for it while other CPUs idle.
TEST_F(Enclaves, WithoutAnAgentBusyCpusArePassedOver) {
  ASSERT_TRUE(agent_->LeaveAgent(kCore).ok());
  second_core_agent_.reset();
  const Member a = NewTask(NewDomain());
  world_->Hog(Cpu(kCore, 0), milliseconds(1500));
  world_->Hog(Cpu(kCore, 1), milliseconds(1500));
  world_->Hog(Cpu(kSecondCore, 0), milliseconds(1500));
  world_->Pass(milliseconds(100));
  a.thread->Spin();
  world_->Pass(milliseconds(900));
  EXPECT_GT(a.thread->cpu_time(), milliseconds(200));
}

TEST_F(Enclaves, LatchesOfAnAgentThatLeavesAreTakenBack) {
  const DomainId domain = NewDomain();
  const Member runs = NewRunnableTask(domain), latched = NewRunnableTask(domain);
  RunNow(kSecondCore, {Run(runs)});
  const Member foreign = NewRunnableTask(NewDomain());
  ASSERT_EQ(Commit(kSecondCore, {Keep(), Run(latched)}, {.flags = GHOST_TXN_F_NO_KICK}).state,
            GHOST_TXN_COMPLETE);
  second_core_agent_->Die();
  // Held again, or picked in the meantime: in any case it is nobody's latch any more.
  EXPECT_TRUE(Eventually([&] { return !Is(latched.gtid, GHOST_SW_LATCHED); }));
  const Duration before = latched.thread->cpu_time();
  EXPECT_TRUE(Eventually([&] { return latched.thread->cpu_time() > before; }));
  EXPECT_TRUE(Eventually([&] { return foreign.thread->cpu_time() > Duration(0); }));
  EXPECT_TRUE(Eventually([&] { return core(kSecondCore).agent_tid == 0; }));
}

TEST_F(Enclaves, ADeadAgentLeavesItsCoreToTheClassAndToASuccessor) {
  const Member a = NewRunnableTask(NewDomain());
  RunNow(kSecondCore, {Run(a)});
  second_core_agent_->Die();
  ASSERT_TRUE(Eventually([&] { return core(kSecondCore).agent_tid == 0; }));
  const Duration before = a.thread->cpu_time();
  EXPECT_TRUE(Eventually([&] { return a.thread->cpu_time() > before + milliseconds(50); }))
      << "its tasks go on";
  second_core_agent_ = world_->RunAsAgent(*agent_, kSecondCore);
  EXPECT_TRUE(second_core_agent_->entered().ok()) << second_core_agent_->entered();
  // Everything that the successor has to know stands in the status word.
  EXPECT_EQ(Word(a.gtid).gtid, a.gtid.value());
  EXPECT_EQ(Word(a.gtid).enclave, enclave_.value());
  EXPECT_TRUE(Is(a.gtid, GHOST_SW_INUSE) && Is(a.gtid, GHOST_SW_RUNNABLE));
}

TEST_F(Enclaves, AThreadIsAttachedOnce) {
  const DomainId one = NewDomain(), two = NewDomain();
  const Member a = NewTask(one);
  EXPECT_EQ(Attach(*a.thread, one), a.gtid) << "the same domain: the same task";
  const auto elsewhere = control().AttachTask(a.thread->tid(), two, 0, 100);
  EXPECT_FALSE(elsewhere.ok()) << "a domain does not change by that";
}

TEST_F(Enclaves, ATaskChangesItsDomainWhenItLeavesItsCpu) {
  const DomainId one = NewDomain(), two = NewDomain();
  const Member runs = NewRunnableTask(one), beside = NewRunnableTask(one);
  ASSERT_TRUE(
      control()
          .UpdateTask(runs.gtid,
                      {.weight = 300, .cap = milliseconds(10), .cap_period = milliseconds(20)})
          .ok());
  Await(runs.gtid, GHOST_MSG_TASK_ATTRIBUTES_CHANGED);
  RunNow(kCore, {Run(runs), Run(beside)});
  const auto changed = control().RelabelTask(runs.gtid, two);
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_NE(*changed, runs.gtid);
  Await(runs.gtid, GHOST_MSG_TASK_DEPARTED);
  Await(*changed, GHOST_MSG_TASK_NEW);
  EXPECT_EQ(Word(*changed).domain, two.value());
  EXPECT_EQ(Word(*changed).tid, static_cast<uint32_t>(runs.thread->tid()));
  EXPECT_EQ(Word(*changed).weight, 300u) << "what it was promised goes with it";
  EXPECT_EQ(Word(*changed).cap_period_ns, 20'000'000u);
  EXPECT_GT(Word(*changed).runtime_ns, 0u);
  // Foreign to its former companion from now on.
  const Member it{runs.thread, *changed};
  EXPECT_EQ(Commit(kCore, {Run(it), Keep()}).state, GHOST_TXN_INVALID_TARGET);
  RunNow(kCore, {Run(it), Idle()});
  EXPECT_EQ(control().RelabelTask(runs.gtid, two).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(Enclaves, ASleepingTaskChangesItsDomainWhenItWakesUp) {
  const DomainId one = NewDomain(), two = NewDomain();
  const Member sleeps = NewTask(one);
  const auto changed = control().RelabelTask(sleeps.gtid, two);
  ASSERT_TRUE(changed.ok()) << changed.status();
  ASSERT_TRUE(control().UpdateTask(*changed, {.weight = 500}).ok());
  sleeps.thread->Spin();
  Await(sleeps.gtid, GHOST_MSG_TASK_DEPARTED);
  EXPECT_TRUE(Await(*changed, GHOST_MSG_TASK_NEW).flags & GHOST_MSG_F_RUNNABLE);
  RunNow(kCore, {Run({sleeps.thread, *changed})});
  EXPECT_EQ(Word(*changed).domain, two.value());
  EXPECT_EQ(Word(*changed).weight, 500u) << "what it was promised meanwhile counts";
}

// Said while the task sleeps, so that nothing of what was said before may come of it.
TEST_F(Enclaves, TheLastChangeOfDomainCounts) {
  const DomainId one = NewDomain(), two = NewDomain(), three = NewDomain();
  const Member sleeps = NewTask(one);
  ASSERT_TRUE(control().RelabelTask(sleeps.gtid, two).ok());
  const auto last = control().RelabelTask(sleeps.gtid, three);
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_TRUE(control().DestroyDomain(two).ok()) << "the slot that it had there is given back";
  sleeps.thread->Spin();
  Await(sleeps.gtid, GHOST_MSG_TASK_DEPARTED);
  Await(*last, GHOST_MSG_TASK_NEW);
  EXPECT_EQ(Word(*last).domain, three.value());

  const Member stays = NewTask(one);
  ASSERT_TRUE(control().RelabelTask(stays.gtid, three).ok());
  EXPECT_EQ(*control().RelabelTask(stays.gtid, one), stays.gtid);
  stays.thread->Spin();
  Await(stays.gtid, GHOST_MSG_TASK_WAKEUP);
  RunNow(kCore, {Run(stays), Idle()});
  EXPECT_EQ(Word(stays.gtid).domain, one.value());
}

// The thread of the host was there before, and no CPU switches to another one at that moment.
TEST_F(Enclaves, ThatBecomeStrictLeaveTheCoresThatTheHostUses) {
  const Member task = NewRunnableTask(NewDomain());
  world_->Hog(Cpu(kCore, 0), std::chrono::seconds(3));
  const ghost_cpu_state& hogged = control().cpu_states()[Cpu(kCore, 0).value()];
  ASSERT_TRUE(Eventually([&] { return hogged.taken == GHOST_CPU_BY_HOST; }));
  RunNow(kCore, {Keep(), Run(task)});
  ASSERT_TRUE(control().Protect(enclave_, {.strict = true}).ok());
  for (int i = 0; i < 50 && Is(task.gtid, GHOST_SW_ONCPU); ++i) world_->Pass(milliseconds(10));
  EXPECT_FALSE(Is(task.gtid, GHOST_SW_ONCPU));
  Await(task.gtid, GHOST_MSG_TASK_PREEMPT);
  EXPECT_EQ(hogged.taken, static_cast<uint32_t>(GHOST_CPU_BY_HOST)) << "too late to tell";
  ASSERT_TRUE(control().Protect(enclave_, {}).ok());
  RunNow(kCore, {Keep(), Run(task)});
}

TEST_F(Enclaves, AChangeOfDomainThatCannotBe) {
  const DomainId one = NewDomain();
  const Member a = NewTask(one);
  EXPECT_EQ(*control().RelabelTask(a.gtid, one), a.gtid) << "nothing to do";
  EXPECT_FALSE(control().RelabelTask(a.gtid, DomainId(500)).ok());
  EXPECT_FALSE(control().RelabelTask(a.gtid, DomainId(GHOST_DOMAIN_UNATTACHED)).ok());
  const auto other = control().CreateEnclave({.name = "other", .cpus = CpusOf({kForeignCore})});
  ASSERT_TRUE(other.ok()) << other.status();
  const auto theirs = control().CreateDomain(*other, {}, "theirs");
  ASSERT_TRUE(theirs.ok());
  EXPECT_FALSE(control().RelabelTask(a.gtid, *theirs).ok()) << "another enclave's";
  ASSERT_TRUE(control().DestroyEnclave(*other).ok());
  // One that dies meanwhile leaves neither slot behind.
  const DomainId two = NewDomain();
  ASSERT_TRUE(control().RelabelTask(a.gtid, two).ok());
  a.thread->Exit();
  EXPECT_TRUE(Eventually([&] { return control().DestroyDomain(one).ok(); }));
  EXPECT_TRUE(Eventually([&] { return control().DestroyDomain(two).ok(); }));
}

// A QEMU that is born in the class, say: nobody is beside its threads until they are attached.
TEST_F(Enclaves, AStrangerIsTakenInWhereItIs) {
  const DomainId domain = NewDomain();
  Thread& runs = NewThread();
  Thread& sleeps = NewThread();
  for (Thread* stranger : {&runs, &sleeps}) ASSERT_TRUE(stranger->SetExt(true).ok());
  ASSERT_TRUE(runs.SetAffinity(CpusOf({kForeignCore})).ok());
  runs.Spin();
  EXPECT_TRUE(Eventually([&] { return runs.cpu_time() > Duration(0); }));
  const Member a{&runs, Attach(runs, domain)}, b{&sleeps, Attach(sleeps, domain)};
  ASSERT_TRUE(runs.SetAffinity(CpusOf({kCore})).ok());
  Await(a.gtid, GHOST_MSG_TASK_NEW);
  sleeps.Spin();
  EXPECT_TRUE(Await(b.gtid, GHOST_MSG_TASK_NEW).flags & GHOST_MSG_F_RUNNABLE);
  RunNow(kCore, {Run(a), Run(b)});
  EXPECT_EQ(Word(a.gtid).former_policy, 0u) << "detached, it leaves the class";
  ASSERT_TRUE(control().DetachTask(a.gtid).ok());
  Await(a.gtid, GHOST_MSG_TASK_DEPARTED);
  // One that leaves before it was taken in leaves nothing behind.
  Thread& leaves = NewThread();
  ASSERT_TRUE(leaves.SetExt(true).ok());
  const DomainId other = NewDomain();
  Attach(leaves, other);
  ASSERT_TRUE(leaves.SetExt(false).ok());
  EXPECT_TRUE(Eventually([&] { return control().DestroyDomain(other).ok(); }));
}

// As corral-class does it that takes another one's place: its threads are in SCHED_EXT, and sleep.
TEST_F(Enclaves, WhatWasCountedBeforeGoesOn) {
  const DomainId domain = NewDomain();
  Thread& thread = NewThread();
  ASSERT_TRUE(thread.SetExt(true).ok());
  const Gtid task = Attach(thread, domain);
  EXPECT_EQ(Attach(thread, domain), task) << "said twice";
  EXPECT_FALSE(control().AttachTask(thread.tid(), NewDomain(), 0, 100).ok()) << "it is taken";
  ghost_task_restore past = {
      .gtid = task.value(), .runtime_ns = 5'000'000'000, .former_policy = SCHED_BATCH};
  past.waits.ns[GHOST_WAIT_TURN] = 7;
  past.tally.waited_ns = 9;
  past.tally.waits[2] = 3;
  ASSERT_TRUE(control().RestoreTask(past).ok());
  thread.Spin();
  EXPECT_EQ(Await(task, GHOST_MSG_TASK_NEW).runtime_ns, past.runtime_ns);
  RunNow(kCore, {Run({&thread, task}), Idle()});
  EXPECT_TRUE(Eventually([&] { return Word(task).runtime_ns > past.runtime_ns; }));
  const uint32_t slot = GHOST_GTID_SLOT(task.value());
  EXPECT_EQ(Word(task).former_policy, static_cast<uint32_t>(SCHED_BATCH));
  EXPECT_EQ(control().waits()[slot].ns[GHOST_WAIT_TURN], 7u);
  EXPECT_GE(control().tallies()[slot].waited_ns, 9u);
  EXPECT_GE(control().tallies()[slot].waits[2], 3u);

  ghost_core_restore core_past = {.core = kForeignCore.value()};
  core_past.counted.commits = 11;
  core_past.queue.messages = 12;
  core_past.cpus[1].host_ns = uint64_t{1} << 60;
  ASSERT_TRUE(control().RestoreCore(core_past).ok());
  EXPECT_EQ(core(kForeignCore).commits, 11u);
  EXPECT_GE(control().queue_states()[kForeignCore.value()].messages, 12u);
  EXPECT_GE(control().cpu_states()[static_cast<uint32_t>(Cpu(kForeignCore, 1).value())].host_ns,
            core_past.cpus[1].host_ns);
  EXPECT_TRUE(absl::IsNotFound(control().RestoreTask({.gtid = 12345})));
  EXPECT_FALSE(control().RestoreCore({.core = 99999}).ok());
}

TEST_F(Enclaves, ASlotIsUsedAgainUnderAnotherName) {
  const DomainId domain = NewDomain();
  Thread& thread = NewThread();
  const Gtid first = Attach(thread, domain);
  Await(first, GHOST_MSG_TASK_NEW);
  ASSERT_TRUE(control().DetachTask(first).ok());
  Await(first, GHOST_MSG_TASK_DEPARTED);
  const Gtid second = Attach(thread, domain);
  EXPECT_NE(first, second);
  EXPECT_EQ(GHOST_GTID_SLOT(first.value()), GHOST_GTID_SLOT(second.value()));
  EXPECT_TRUE(absl::IsNotFound(control().DetachTask(first)));
}

TEST_F(Enclaves, ThingsThatAreNotThere) {
  EXPECT_TRUE(absl::IsNotFound(control().AttachTask(999999, NewDomain(), 0, 100).status()));
  EXPECT_FALSE(control().AttachTask(NewThread().tid(), DomainId(0), 0, 100).ok()) << "the host's";
  EXPECT_FALSE(control().AttachTask(NewThread().tid(), DomainId(500), 0, 100).ok());
  EXPECT_FALSE(control().CreateDomain(EnclaveId(15), {}, "nobody's").ok());
  EXPECT_FALSE(control().DestroyDomain(DomainId(400)).ok());
  EXPECT_TRUE(absl::IsNotFound(control().Protect(EnclaveId(15), {})));
  EXPECT_TRUE(absl::IsNotFound(control().UpdateTask(Gtid(GHOST_GTID(1, 77777)), {})));
  EXPECT_FALSE(control().UpdateTask(Gtid(GHOST_GTID(1, 1)), {.weight = 0}).ok());
}

}  // namespace
}  // namespace corral::conformance
