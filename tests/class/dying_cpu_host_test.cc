// SPDX-License-Identifier: Apache-2.0
// What happens on a CPU that is on its way offline: the kernel queues and switches tasks there
// without asking the class. Such a switch-in must not get a task as far as user mode, which each of
// the threads looks for itself. Runs as root in the test host.
#include <sched.h>

#include "kernel/cpu_mask.h"
#include "tests/class/class_host_fixture.h"
#include "tests/class/dying_cpu.h"

#include "dying_cpu.skel.h"  // after the types that it uses

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// In a thread that is about to be caught: is this CPU given up while I run on it?
void LookAround(dying_cpu_state* cpus) {
  const int here = sched_getcpu();
  if (here < 0 || here >= DYING_CPU_MAX) return;
  const uint32_t turns = __atomic_load_n(&cpus[here].turns, __ATOMIC_SEQ_CST);
  // Still here, and the CPU did not come back between the looks.
  if ((turns & 1) && sched_getcpu() == here &&
      __atomic_load_n(&cpus[here].turns, __ATOMIC_SEQ_CST) == turns) {
    __atomic_add_fetch(&cpus[here].user_mode, 1, __ATOMIC_RELAXED);
  }
}

class DyingCpuHostTest : public ClassHostTest {
 protected:
  void SetUp() override {
    skeleton_ = dying_cpu::open_and_load();
    ASSERT_NE(skeleton_, nullptr);
    ASSERT_EQ(dying_cpu::attach(skeleton_), 0);
    ASSERT_NO_FATAL_FAILURE(ClassHostTest::SetUp());
    for (int i = 0; i < 4; ++i) vms_.push_back(Watchers());
    AttachAll(vms_);
    // Threads of no enclave, of a process of their own.
    strangers_ = Watchers();
    ASSERT_NO_FATAL_FAILURE(EnterUnattached(*strangers_));
    std::this_thread::sleep_for(milliseconds(500));
    ASSERT_TRUE(auditor_->Reset().ok());
  }
  void TearDown() override {
    strangers_.reset();
    vms_.clear();
    ClassHostTest::TearDown();
    dying_cpu::destroy(skeleton_);
  }
  std::unique_ptr<VmProcess> Watchers() {
    return std::make_unique<VmProcess>(/*spinners=*/3, /*sleepers=*/1,
                                       [cpus = Cpus()] { LookAround(cpus); });
  }
  dying_cpu_state* Cpus() { return skeleton_->bss->cpus; }
  uint32_t Sum(__u32 dying_cpu_state::*field) {
    uint32_t sum = 0;
    for (int i = 0; i < DYING_CPU_MAX; ++i) sum += Cpus()[i].*field;
    return sum;
  }

  dying_cpu* skeleton_ = nullptr;
  VmProcesses vms_;
  std::unique_ptr<VmProcess> strangers_;
};

TEST_F(DyingCpuHostTest, NobodyReachesUserModeOnACpuThatIsGivenUp) {
  constexpr int kRounds = 12;
  const std::vector<CpuId> cpus = {CpuId(1), CpuId(3), CpuId(2)};
  const std::vector<Duration> before = CpuTimes(vms_);
  for (int round = 0; round < kRounds; ++round) {
    for (const CpuId cpu : cpus) {
      ASSERT_NO_FATAL_FAILURE(SetOnline(cpu, false));
      std::this_thread::sleep_for(milliseconds(50));
      ASSERT_NO_FATAL_FAILURE(SetOnline(cpu, true));
      std::this_thread::sleep_for(milliseconds(100));
    }
  }
  printf("a CPU went %zu times; switch-ins on its way: %u, as far as user mode: %u\n",
         kRounds * cpus.size(), Sum(&dying_cpu_state::switch_ins),
         Sum(&dying_cpu_state::user_mode));
  EXPECT_GT(Sum(&dying_cpu_state::switch_ins), 0u) << "so this showed nothing";
  EXPECT_EQ(Sum(&dying_cpu_state::user_mode), 0u);
  ExpectProgress(vms_, before, milliseconds(20));
  const absl::StatusOr<AuditReport> report = auditor_->Read();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->total[AUDIT_VCPU_ENFORCED].time.count(), 0);
  EXPECT_EQ(report->total[AUDIT_VCPU_EXPOSED].time.count(), 0);
  // Tracepoints are mute on a CPU that is offline, where the last switch is the one to idle.
  EXPECT_LE(report->gaps.missed_switches, kRounds * cpus.size());
  EXPECT_EQ(report->gaps.missed_probes, 0u);
  EXPECT_TRUE(kernel_->info().enabled)
      << kernel_->info().exit_reason << ": " << kernel_->info().exit_message;
}

// Who may use no other core waits there, and the kernel for them, but not for long.
TEST_F(DyingCpuHostTest, ThreadsThatMayGoNowhereElseDoNotKeepACpu) {
  const cpu_set_t mask = MaskOf(topology_.core(1).siblings);
  for (const auto& vm : vms_) {
    for (const pid_t tid : vm->tids()) ASSERT_EQ(sched_setaffinity(tid, sizeof(mask), &mask), 0);
  }
  for (const pid_t tid : strangers_->tids())
    ASSERT_EQ(sched_setaffinity(tid, sizeof(mask), &mask), 0);
  const std::vector<Duration> before = CpuTimes(vms_);
  Duration longest{0};
  for (int round = 0; round < 4; ++round) {
    for (const CpuId cpu : topology_.core(1).siblings.ToVector()) {
      const Time begin = kernel_->Now();
      ASSERT_NO_FATAL_FAILURE(SetOnline(cpu, false));
      const Duration took = kernel_->Now() - begin;
      printf("CPU %d: %lld ms\n", cpu.value(), static_cast<long long>(took.count() / 1000000));
      longest = std::max(longest, took);
      std::this_thread::sleep_for(milliseconds(200));
      ASSERT_NO_FATAL_FAILURE(SetOnline(cpu, true));
      std::this_thread::sleep_for(milliseconds(200));
    }
  }
  printf("a CPU took %lld ms at most to go\n", static_cast<long long>(longest.count() / 1000000));
  EXPECT_LT(longest, seconds(5)) << "that is the guard's doing";
  ExpectProgress(vms_, before, milliseconds(1));
  EXPECT_TRUE(kernel_->info().enabled)
      << kernel_->info().exit_reason << ": " << kernel_->info().exit_message;
}

// The threads would notice.
TEST_F(DyingCpuHostTest, WhoRunsOnSuchACpuSeesIt) {
  __atomic_add_fetch(&Cpus()[1].turns, 1, __ATOMIC_SEQ_CST);
  std::this_thread::sleep_for(seconds(1));
  __atomic_add_fetch(&Cpus()[1].turns, 1, __ATOMIC_SEQ_CST);
  EXPECT_GT(Sum(&dying_cpu_state::switch_ins), 0u);
  EXPECT_GT(Sum(&dying_cpu_state::user_mode), 0u);
}

}  // namespace
}  // namespace corral
