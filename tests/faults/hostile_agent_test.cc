// SPDX-License-Identifier: Apache-2.0
// A process that has an agent's rights and means ill: random transactions and calls, right ones
// among them, so that much of what it says is nearly right; and it never reads a message. What it
// may not say is refused, with the state that tells why; the class keeps domains apart on its
// cores; and of what is not in its enclave nothing moves.
//
// On both kernels, as the conformance suite. CORRAL_COMMITS: how many transactions; 20,000 unless
// said otherwise. CORRAL_SEED: another course of events.
#include <algorithm>
#include <array>
#include <cerrno>
#include <random>

#include "kernel/agent_view.h"
#include "tests/conformance/suite.h"
#include "tests/environment.h"

namespace corral::conformance {
namespace {

class HostileAgent : public ConformanceTest {
 protected:
  // An enclave that lives without an agent: one task computes, one sleeps.
  struct Foreign {
    EnclaveId enclave;
    Member busy, asleep;
  };

  void SetUp() override {
    ConformanceTest::SetUp();
    if (HasFatalFailure()) return;
    for (int i = 0; i < 3; ++i) {
      const DomainId domain = NewDomain();
      for (int j = 0; j < 2; ++j) own_.push_back(NewRunnableTask(domain));
      own_.push_back(NewTask(domain));
    }
    ASSERT_NO_FATAL_FAILURE(MakeForeign());
  }
  void TearDown() override {
    const EnclaveId foreign = foreign_.enclave;
    ConformanceTest::TearDown();
    if (foreign.value() == 0) return;
    EXPECT_TRUE(Eventually([&] { return control().DestroyEnclave(foreign).ok(); }));
  }

  void MakeForeign() {
    const absl::StatusOr<EnclaveId> enclave =
        control().CreateEnclave({.name = "foreign", .cpus = CpusOf({kForeignCore})});
    ASSERT_TRUE(enclave.ok()) << enclave.status();
    foreign_.enclave = *enclave;
    for (Member* const member : {&foreign_.busy, &foreign_.asleep}) {
      DomainKey key = {};
      key[0] = member == &foreign_.busy ? 201 : 202;
      const absl::StatusOr<DomainId> domain = control().CreateDomain(*enclave, key, "foreign");
      ASSERT_TRUE(domain.ok()) << domain.status();
      member->thread = &NewThread();
      member->gtid = Attach(*member->thread, *domain);
    }
    foreign_.busy.thread->Spin();
    ASSERT_TRUE(Eventually([&] { return Is(foreign_.busy.gtid, GHOST_SW_ONCPU); }));
  }

  uint64_t Random() { return random_(); }
  bool OneIn(uint64_t n) { return Random() % n == 0; }

  // Mostly one of ours; or what an attacker would try.
  uint64_t AnyTarget() {
    switch (Random() % 12) {
      case 0:
        return GHOST_TARGET_KEEP;
      case 1:
        return GHOST_TARGET_IDLE;
      case 2:
        return foreign_.busy.gtid.value();
      case 3:
        return foreign_.asleep.gtid.value();
      case 4:
        return Random();
      case 5:  // a slot that is in use, at another time
        return own_[Random() % own_.size()].gtid.value() + (Random() % 5 << 32) + Random() % 3;
      default:
        return own_[Random() % own_.size()].gtid.value();
    }
  }
  uint64_t AnyBarrier(uint64_t target) {
    if (OneIn(8)) return Random();
    const uint32_t slot = GHOST_GTID_SLOT(target);
    const uint64_t barrier =
        slot < control().info().nr_slots ? control().status_words()[slot].barrier : 0;
    return OneIn(8) ? barrier + Random() % 3 - 1 : barrier;
  }
  ghost_core_txn AnyTransaction() {
    ghost_core_txn txn = {};
    txn.core = OneIn(6) ? static_cast<uint32_t>(Random() % (OneIn(2) ? 8 : ~0u))
                        : (OneIn(2) ? kCore : kSecondCore).value();
    txn.state = static_cast<uint32_t>(OneIn(4) ? Random() : 0);
    txn.cookie = Random();
    txn.agent_barrier = Random() % 1000;
    txn.flags = static_cast<uint32_t>(OneIn(10) ? Random() : Random() & GHOST_TXN_F_ALLOW_ONCPU);
    txn.stay = static_cast<uint32_t>(Random());
    for (ghost_txn_sibling& sibling : txn.sibling) {
      sibling.target = AnyTarget();
      sibling.barrier = AnyBarrier(sibling.target);
      sibling.slice_ns = OneIn(3) ? Random() : Random() % 5'000'000;
      sibling.state = static_cast<uint32_t>(Random());
      sibling.run_flags = static_cast<uint32_t>(OneIn(10) ? Random() : Random() & GHOST_RUN_FLAGS);
    }
    return txn;
  }

  bool IsOwn(uint64_t target) const {
    return std::any_of(own_.begin(), own_.end(),
                       [&](const Member& member) { return member.gtid.value() == target; });
  }
  bool IsOurs(uint32_t core) const {
    return core == static_cast<uint32_t>(kCore.value()) ||
           core == static_cast<uint32_t>(kSecondCore.value());
  }

  // Whatever the tasks do at this moment, such a transaction is refused.
  bool MustBeRefused(const ghost_core_txn& txn) {
    if (!IsOurs(txn.core) || (txn.flags & ~GHOST_TXN_FLAGS) != 0) return true;
    const uint32_t siblings = core(CoreId(static_cast<int>(txn.core))).nr_cpus;
    uint32_t domain = 0;
    for (uint32_t i = 0; i < siblings; ++i) {
      const ghost_txn_sibling& sibling = txn.sibling[i];
      if ((sibling.run_flags & ~GHOST_RUN_FLAGS) != 0) return true;
      if (sibling.target == GHOST_TARGET_KEEP || sibling.target == GHOST_TARGET_IDLE) continue;
      if (!IsOwn(sibling.target)) return true;
      const uint32_t its = Word(Gtid(sibling.target)).domain;
      if (domain != 0 && its != domain) return true;
      domain = its;
      for (uint32_t j = 0; j < i; ++j) {
        if (txn.sibling[j].target == sibling.target) return true;
      }
    }
    return false;
  }
  void CheckAnswer(const ghost_core_txn& asked, const ghost_core_txn& answer) {
    ASSERT_LT(answer.state, static_cast<uint32_t>(GHOST_NR_TXN_STATES));
    ASSERT_NE(answer.state, GHOST_TXN_READY);
    ++states_[answer.state];
    if (MustBeRefused(asked)) {
      EXPECT_NE(answer.state, GHOST_TXN_COMPLETE) << "core " << asked.core;
      ++refused_;
    }
    if (!IsOurs(asked.core)) {
      EXPECT_TRUE(answer.state == GHOST_TXN_INVALID_CPU || answer.state == GHOST_TXN_NOT_PERMITTED)
          << "core " << asked.core << ": state " << answer.state;
    } else if ((asked.flags & ~GHOST_TXN_FLAGS) != 0) {
      EXPECT_EQ(answer.state, GHOST_TXN_INVALID_FLAGS);
    }
  }

  void CommitSomething() {
    ghost_commit commit = {};
    commit.abi_version = GHOST_ABI_VERSION;
    commit.nr = static_cast<uint32_t>(1 + (OneIn(10) ? Random() % GHOST_COMMIT_MAX_CORES : 0));
    for (uint32_t i = 0; i < commit.nr; ++i) commit.txn[i] = AnyTransaction();
    const ghost_commit asked = commit;
    const absl::Status made = agent_->Commit(commit);
    ASSERT_TRUE(made.ok()) << made;
    for (uint32_t i = 0; i < asked.nr; ++i)
      ASSERT_NO_FATAL_FAILURE(CheckAnswer(asked.txn[i], commit.txn[i]));
    committed_ += asked.nr;
  }

  // Past the library, which would not make such a call.
  void CommitAmiss() {
    struct Open : AgentView {
      using AgentView::CallClass;
    };
    struct Program {
      AgentCall call;
      uint32_t most;
    };
    constexpr Program kPrograms[] = {{AgentCall::kCommit, 1},
                                     {AgentCall::kCommitFew, GHOST_COMMIT_FEW_CORES},
                                     {AgentCall::kCommitMany, GHOST_COMMIT_MAX_CORES}};
    const Program& program = kPrograms[Random() % 3];
    ghost_commit commit = {};
    commit.abi_version = OneIn(2) ? GHOST_ABI_VERSION : static_cast<uint32_t>(Random());
    commit.nr = static_cast<uint32_t>(OneIn(2) ? Random() % 100 : Random());
    if (commit.abi_version == GHOST_ABI_VERSION && commit.nr <= program.most) commit.nr = ~0u;
    const size_t whole = SizeOfCommit(program.most);
    const bool less = OneIn(2);
    const size_t size = less ? Random() % whole : whole;
    const absl::Status made =
        (dynamic_cast<AgentView&>(*agent_).*&Open::CallClass)(program.call, &commit, size);
    EXPECT_EQ(made.ok(), !less) << size << " of " << whole << " bytes: " << made;
    if (less) return;
    EXPECT_EQ(commit.result, commit.abi_version == GHOST_ABI_VERSION ? -EINVAL : -EPROTO);
    EXPECT_EQ(commit.completed, 0u);
  }

  void CallSomething() {
    const Gtid task(AnyTarget());
    const bool own = IsOwn(task.value());
    absl::Status status;
    switch (Random() % 4) {
      case 0:
        status = agent_
                     ->Associate(task, AnyBarrier(task.value()),
                                 QueueId(static_cast<int>(Random() % (OneIn(2) ? 6 : 100000))))
                     .status();
        break;
      case 1:
        status = agent_->Grant(task, {.granted = Duration(Random() % 1000),
                                      .free = Duration(Random() % 1000),
                                      .place = CoreId(static_cast<int>(Random() % 8))});
        break;
      case 2:
        status = agent_->OfferTask(task, static_cast<Offer>(Random() % 4));
        break;
      default:
        status = agent_->ArmTimer(CpuId(static_cast<int>(Random() % 64)),
                                  control().Now() + Duration(Random() % 1'000'000), Random());
        return;
    }
    EXPECT_TRUE(own || !status.ok()) << "about task " << task.value();
  }

  // What a foreign enclave's tasks are, but for what they do themselves.
  auto StateOf(const Member& member) {
    const ghost_status_word& word = Word(member.gtid);
    return std::make_tuple(word.gtid, word.domain, word.enclave, word.queue, word.offer,
                           word.granted_ns, word.free_ns, word.place, word.weight);
  }

  std::mt19937_64 random_{FromEnvironment<uint64_t>("CORRAL_SEED", 1)};
  std::vector<Member> own_;
  Foreign foreign_{};
  std::array<uint64_t, GHOST_NR_TXN_STATES> states_ = {};
  uint64_t committed_ = 0;
  uint64_t refused_ = 0;
};

TEST_F(HostileAgent, GetsNothingThatIsNotItsOwn) {
  const uint64_t commits = FromEnvironment<uint64_t>("CORRAL_COMMITS", 20'000);
  const auto busy = StateOf(foreign_.busy), asleep = StateOf(foreign_.asleep);
  const uint64_t barrier = Word(foreign_.asleep.gtid).barrier;
  const CpuSet theirs = CpusOf({kForeignCore});
  uint64_t rounds = 0;
  for (; committed_ < commits; ++rounds) {
    ASSERT_NO_FATAL_FAILURE(CommitSomething());
    if (OneIn(4)) CallSomething();
    if (OneIn(20)) CommitAmiss();
    if (rounds % 50 == 0) world_->Pass(std::chrono::microseconds(500));
    if (rounds % 1000 != 0) continue;
    ASSERT_EQ(StateOf(foreign_.busy), busy);
    ASSERT_EQ(StateOf(foreign_.asleep), asleep);
    ASSERT_TRUE(theirs.Contains(CpuId(Word(foreign_.busy.gtid).cpu)));
  }
  EXPECT_EQ(Word(foreign_.asleep.gtid).barrier, barrier) << "somebody moved it";
  const Duration before = foreign_.busy.thread->cpu_time();
  world_->Pass(milliseconds(500));
  EXPECT_GT(foreign_.busy.thread->cpu_time() - before, milliseconds(100))
      << "it is kept from running";

  printf("%llu transactions in %llu calls, %llu of which had to be refused; by state:",
         static_cast<unsigned long long>(committed_), static_cast<unsigned long long>(rounds),
         static_cast<unsigned long long>(refused_));
  for (const uint64_t count : states_) printf(" %llu", static_cast<unsigned long long>(count));
  printf("\n");
  EXPECT_GT(states_[GHOST_TXN_COMPLETE], committed_ / 1000) << "it has tried nothing that is right";
  for (const ghost_txn_state state :
       {GHOST_TXN_TARGET_ONCPU, GHOST_TXN_TARGET_STALE, GHOST_TXN_TARGET_NOT_FOUND,
        GHOST_TXN_TARGET_NOT_RUNNABLE, GHOST_TXN_INVALID_FLAGS, GHOST_TXN_INVALID_TARGET}) {
    EXPECT_GT(states_[state], 0u) << "state " << state;
  }
}

}  // namespace
}  // namespace corral::conformance
