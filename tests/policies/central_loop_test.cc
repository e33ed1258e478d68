// SPDX-License-Identifier: Apache-2.0
// CentralLoop against a class that refuses: what concerns one core is nobody else's, and nothing is
// given up.
#include "agent/runtime/central_loop.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "policies/fifo/centralized.h"
#include "tests/policies/fake_kernel.h"

namespace corral::testing {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// Four cores of one CPU; the agent spins on the first.
class CentralLoopTest : public ::testing::Test {
 protected:
  static constexpr int kCores = 4;

  CentralLoopTest() {
    for (int core = 0; core < kCores; ++core) EXPECT_TRUE(loop_.Enter(core).ok());
  }

  // Everything that happens in a millisecond.
  void Pass() {
    for (int i = 0; i < 20; ++i) {
      now_ += microseconds(50);
      kernel_.SetTime(Time(now_));
      loop_.Step(Time(now_));
      for (uint32_t core = 0; core < kCores; ++core) kernel_.CarryOut(CoreId(core));
    }
  }
  int Running() const {
    int running = 0;
    for (const Gtid task : kernel_.Tasks()) running += kernel_.IsRunning(task);
    return running;
  }
  void Attach(int tasks) {
    for (int i = 0; i < tasks; ++i) kernel_.Attach(2, true);
  }

  Topology topology_ = Topology::FromHwlocSynthetic("numa:1 core:4 pu:1").value();
  FakeKernel kernel_{topology_, {}};
  std::unique_ptr<EnclaveState> state_ = EnclaveState::Create(kernel_, topology_).value();
  fifo::CentralizedFifo policy_{state_->topology(), 128, {.slice = milliseconds(1)}};
  std::vector<int> enter_again_;
  CentralLoop loop_{
      *state_, policy_, {.enter_again = [this](int core) { enter_again_.push_back(core); }}};
  Duration now_{0};
};

TEST_F(CentralLoopTest, KeepsOneCpuForItself) {
  Attach(5);
  Pass();
  EXPECT_TRUE(loop_.spins());
  EXPECT_EQ(Running(), kCores - 1);
  EXPECT_EQ(kernel_.Running(loop_.place()), Gtid(0));
}

TEST_F(CentralLoopTest, ARefusalOnOneCoreIsNobodyElses) {
  for (const uint32_t state :
       {GHOST_TXN_TARGET_STALE, GHOST_TXN_TARGET_ONCPU, GHOST_TXN_TARGET_NOT_RUNNABLE,
        GHOST_TXN_TARGET_NOT_FOUND, GHOST_TXN_ABORTED, GHOST_TXN_CPU_UNAVAIL,
        GHOST_TXN_INVALID_FLAGS, GHOST_TXN_CPU_OFFLINE}) {
    SCOPED_TRACE(state);
    const uint64_t before = loop_.counters().failed_commits;
    for (const Gtid task : kernel_.Tasks()) kernel_.Die(task);
    Pass();
    Attach(3);
    kernel_.FailNextCommit(state);
    now_ += microseconds(50);
    loop_.Step(Time(now_));
    for (uint32_t core = 0; core < kCores; ++core) kernel_.CarryOut(CoreId(core));
    EXPECT_GE(Running(), 2);
    Pass();
    EXPECT_EQ(Running(), 3);
    EXPECT_EQ(loop_.counters().failed_commits, before + 1);
  }
}

TEST_F(CentralLoopTest, AskedACoreAgainThatTheClassTook) {
  Attach(3);
  Pass();
  ASSERT_EQ(Running(), 3);
  EXPECT_TRUE(kernel_.LeaveAgent(CoreId(2)).ok());
  Attach(3);
  Pass();
  Pass();
  EXPECT_EQ(enter_again_, std::vector<int>()) << "it sees by itself that it is not served";
  EXPECT_TRUE(loop_.status().ok());
  // It was taken between the look and the commit.
  EXPECT_TRUE(loop_.Enter(2).ok());
  Pass();
  kernel_.FailNextCommit(GHOST_TXN_NO_AGENT);
  Pass();
  Pass();
  ASSERT_EQ(enter_again_.size(), 1u);
  EXPECT_TRUE(loop_.Enter(enter_again_[0]).ok());
  Pass();
  Pass();
  EXPECT_EQ(Running(), 3);
  EXPECT_TRUE(loop_.status().ok());
}

TEST_F(CentralLoopTest, EndsWithTheClass) {
  Attach(2);
  Pass();
  kernel_.FailNextCall(absl::FailedPreconditionError("the class is gone"));
  Pass();
  EXPECT_EQ(loop_.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(CentralLoopTest, ACallThatFailsIsMadeAgain) {
  Attach(3);
  kernel_.FailNextCall(absl::InternalError("out of memory"));
  kernel_.FailNextCall(absl::InternalError("out of memory"));
  Pass();
  EXPECT_EQ(Running(), 3);
}

// What the class refuses without a reason is parked; it holds up nobody.
TEST_F(CentralLoopTest, ARefusedTaskHoldsUpNobody) {
  Attach(6);
  const Gtid refused = kernel_.Tasks()[0];
  kernel_.RefuseCpu(refused, true);
  for (int i = 0; i < 10; ++i) {
    Pass();
    EXPECT_GE(Running(), 2);
  }
  EXPECT_GT(loop_.counters().parked, 0u);
  kernel_.RefuseCpu(refused, false);
  bool ran = false;
  for (int i = 0; i < 100 && !ran; ++i) {
    Pass();
    ran = kernel_.IsRunning(refused);
  }
  EXPECT_TRUE(ran);
  EXPECT_EQ(loop_.counters().repairs, 0u);
}

// A task that was preempted where migration is disabled goes on where it is, whatever its affinity.
TEST_F(CentralLoopTest, ATiedTaskIsTriedWhereItIs) {
  Attach(3);
  Pass();
  const Gtid tied = kernel_.Running(CpuId(2));
  ASSERT_NE(tied, Gtid(0));
  kernel_.Tie(tied, CpuId(2));
  kernel_.SetAffinity(tied, CpuSet{1, 3});
  Attach(3);
  bool ran = false;
  for (int i = 0; i < 100 && !ran; ++i) {
    Pass();
    ran = kernel_.IsRunning(tied);
  }
  EXPECT_TRUE(ran);
  EXPECT_EQ(loop_.counters().repairs, 0u);
}

// Messages that were lost without a sign: found within two seconds.
TEST_F(CentralLoopTest, TheSelfCheckFindsWhatWasLost) {
  Attach(2);
  Pass();
  kernel_.lose_messages = true;
  Attach(1);
  kernel_.lose_messages = false;
  for (int i = 0; i < 2500; ++i) Pass();
  EXPECT_EQ(Running(), 3);
  EXPECT_GT(loop_.counters().repairs, 0u);
}

}  // namespace
}  // namespace corral::testing
