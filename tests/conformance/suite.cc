// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/suite.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace corral::conformance {

void ConformanceTest::SetUp() {
  absl::StatusOr<std::unique_ptr<World>> world = World::Make();
  ASSERT_TRUE(world.ok()) << world.status();
  world_ = *std::move(world);
  EnclaveSpec spec = Spec();
  spec.name = "tested";
  spec.cpus = CpusOf({kCore, kSecondCore});
  const absl::StatusOr<EnclaveId> enclave = control().CreateEnclave(spec);
  ASSERT_TRUE(enclave.ok()) << enclave.status();
  enclave_ = *enclave;
  absl::StatusOr<std::unique_ptr<AgentKernel>> agent = world_->BecomeAgent(enclave_, "tested");
  ASSERT_TRUE(agent.ok()) << agent.status();
  agent_ = *std::move(agent);
  for (const CoreId id : {kCore, kSecondCore}) {
    absl::StatusOr<std::unique_ptr<MessageQueue>> queue = agent_->OpenQueue(QueueId(id.value()));
    ASSERT_TRUE(queue.ok()) << queue.status();
    queues_[id.value()] = *std::move(queue);
  }
  const absl::Status entered = agent_->EnterAgent(kCore);
  ASSERT_TRUE(entered.ok()) << entered;
  second_core_agent_ = world_->RunAsAgent(*agent_, kSecondCore);
  ASSERT_TRUE(second_core_agent_->entered().ok()) << second_core_agent_->entered();
}

// Whatever the case did: everything can be taken down again, and nobody broke I1.
void ConformanceTest::TearDown() {
  if (agent_ == nullptr) return;
  agent_->LeaveAgent(kCore).IgnoreError();  // a case may have left already
  second_core_agent_.reset();
  threads_.clear();
  EXPECT_TRUE(Eventually([&] { return control().DestroyEnclave(enclave_).ok(); }))
      << "the enclave cannot be destroyed: " << control().DestroyEnclave(enclave_);
  uint64_t breaches = 0;
  for (const ghost_core_state& core : control().cores()) breaches += core.breaches;
  EXPECT_EQ(breaches, 0u);
  EXPECT_TRUE(control().info().enabled) << control().info().exit_message;
}

CpuSet ConformanceTest::CpusOf(std::initializer_list<CoreId> cores) {
  CpuSet cpus;
  for (const CoreId id : cores) {
    for (uint32_t i = 0; i < core(id).nr_cpus; ++i) cpus.Insert(Cpu(id, static_cast<int>(i)));
  }
  return cpus;
}

DomainId ConformanceTest::NewDomain() {
  DomainKey key = {};
  const uint32_t number = ++domains_made_;
  memcpy(key.data(), &number, sizeof(number));
  const absl::StatusOr<DomainId> domain =
      control().CreateDomain(enclave_, key, absl::StrCat("domain", number));
  EXPECT_TRUE(domain.ok()) << domain.status();
  return domain.value_or(DomainId(0));
}

Thread& ConformanceTest::NewThread() {
  threads_.push_back(world_->NewThread());
  return *threads_.back();
}

Gtid ConformanceTest::Attach(Thread& thread, DomainId domain) {
  const absl::StatusOr<Gtid> gtid = control().AttachTask(thread.tid(), domain, 0, 100);
  EXPECT_TRUE(gtid.ok()) << gtid.status();
  return gtid.value_or(Gtid(0));
}

ConformanceTest::Member ConformanceTest::NewTask(DomainId domain) {
  Thread& thread = NewThread();
  const Gtid gtid = Attach(thread, domain);
  Await(gtid, GHOST_MSG_TASK_NEW);
  return {&thread, gtid};
}

ConformanceTest::Member ConformanceTest::NewRunnableTask(DomainId domain) {
  const Member member = NewTask(domain);
  member.thread->Spin();
  Await(member.gtid, GHOST_MSG_TASK_WAKEUP);
  return member;
}

// Everything that has come. For every task, always: TASK_NEW first, and barriers that rise.
void ConformanceTest::Read() {
  for (const auto& [id, queue] : queues_) {
    queue->Drain([&](const ghost_msg& m) {
      messages_.push_back(m);
      if (m.gtid == 0) return;
      const auto [last, first] = barriers_.try_emplace(m.gtid, m.barrier);
      if (first) {
        EXPECT_EQ(m.type, GHOST_MSG_TASK_NEW) << "the first message of task " << m.tid;
        return;
      }
      EXPECT_NE(m.type, GHOST_MSG_TASK_NEW) << "task " << m.tid << " is not new";
      EXPECT_GT(m.barrier, last->second) << "message type " << m.type << " of task " << m.tid;
      last->second = m.barrier;
    });
  }
}

ghost_msg ConformanceTest::Await(Gtid task, uint32_t type) {
  ghost_msg found = {};
  const bool came = Eventually([&] {
    Read();
    for (auto m = messages_.begin(); m != messages_.end(); ++m) {
      if (m->gtid != task.value() || m->type != type) continue;
      found = *m;
      messages_.erase(m);
      return true;
    }
    return false;
  });
  EXPECT_TRUE(came) << "no message of type " << type << " about task " << task.value()
                    << "; there were: " << testing::PrintToString(Pending(task));
  return found;
}

bool ConformanceTest::Comes(Gtid task, uint32_t type, Duration time) {
  const Time end = control().Now() + time;
  for (;;) {
    const std::vector<uint32_t> types = Pending(task);
    if (std::find(types.begin(), types.end(), type) != types.end()) return true;
    if (control().Now() >= end) return false;
    world_->Pass(milliseconds(10));
  }
}

std::vector<uint32_t> ConformanceTest::Pending(Gtid task) {
  Read();
  std::vector<uint32_t> types;
  for (const ghost_msg& m : messages_) {
    if (m.gtid == task.value()) types.push_back(m.type);
  }
  return types;
}

ghost_core_txn ConformanceTest::Commit(CoreId core, std::vector<Target> targets, Options options) {
  auto commit = std::make_unique<ghost_commit>();
  commit->nr = 1;
  ghost_core_txn& txn = commit->txn[0];
  txn.core = core.value();
  txn.flags = options.flags;
  txn.agent_barrier = options.agent_barrier;
  for (size_t i = 0; i < GHOST_MAX_SIBLINGS; ++i) {
    const Target target = i < targets.size() ? targets[i] : Keep();
    txn.sibling[i] = {.target = target.target,
                      .barrier = target.barrier,
                      .slice_ns = static_cast<uint64_t>(target.slice.count()),
                      .run_flags = target.run_flags};
  }
  const absl::Status status = agent_->Commit(*commit);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(commit->completed, txn.state == GHOST_TXN_COMPLETE ? 1u : 0u);
  return txn;
}

void ConformanceTest::RunNow(CoreId core, std::vector<Target> targets, Options options) {
  ASSERT_EQ(Commit(core, targets, options).state, GHOST_TXN_COMPLETE);
  for (const Target& target : targets) {
    if (target.target == GHOST_TARGET_KEEP || target.target == GHOST_TARGET_IDLE) continue;
    ASSERT_TRUE(Eventually([&] { return Is(Gtid(target.target), GHOST_SW_ONCPU); }))
        << "a committed task does not run";
  }
}

}  // namespace corral::conformance
