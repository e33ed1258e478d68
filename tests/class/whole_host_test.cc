// SPDX-License-Identifier: Apache-2.0
// `scope: host` on a real kernel: with all of its threads in the class, no core runs one of the
// host's and one of a VM's at once, and both get on. Runs as root in the test host.
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/class/chaos_process.h"
#include "tests/class/class_host_fixture.h"
#include "tests/environment.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class WholeHostTest : public ClassHostTest {
 protected:
  absl::Status Load() override { return LoadClassHere({.whole_host = true}); }

  // More than there are CPUs.
  void StartVms() {
    for (int i = 0; i < 4; ++i)
      vms_.push_back(std::make_unique<VmProcess>(/*spinners=*/2, /*sleepers=*/1));
    AttachAll(vms_);
    std::this_thread::sleep_for(milliseconds(500));
    ASSERT_TRUE(auditor_->Reset().ok());
  }
  void ExpectNothingOfTheHostBesideAVm() {
    ExpectIsolated();
    const absl::StatusOr<AuditReport> report = auditor_->Read();
    ASSERT_TRUE(report.ok()) << report.status();
    const AuditSpan& beside = report->total[AUDIT_BESIDE_HOST];
    PrintWorst(beside);
    EXPECT_EQ(beside.time.count(), 0);
  }
  void ExpectAllGoesOn() {
    std::this_thread::sleep_for(seconds(2));
    const std::vector<Duration> before = CpuTimes(vms_);
    std::this_thread::sleep_for(seconds(3));
    size_t i = 0;
    for (const auto& vm : vms_) {
      EXPECT_GT(CpuTime(vm->tids()[0]) - before[i], milliseconds(20)) << "VM " << vm->pid();
      i += vm->tids().size();
    }
    EXPECT_TRUE(kernel_->info().enabled)
        << kernel_->info().exit_reason << ": " << kernel_->info().exit_message;
    const absl::StatusOr<AuditReport> report = auditor_->Read();
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->total[AUDIT_VCPU_ENFORCED].time.count(), 0);
    EXPECT_EQ(report->total[AUDIT_BESIDE_HOST].time.count(), 0);
    vms_.clear();
  }
  static int Rounds(int daily) { return FromEnvironment("CORRAL_HOTPLUG_ROUNDS", daily); }
  int Attached() const {
    int tasks = 0;
    for (const ghost_status_word& word : kernel_->status_words())
      tasks += (word.flags & GHOST_SW_INUSE) != 0;
    return tasks;
  }

  VmProcesses vms_;
};

TEST_F(WholeHostTest, TheHostAndVmsTakeTurns) {
  StartVms();
  // A hog for each CPU, and one that may use one only.
  VmProcess hogs(static_cast<int>(kernel_->info().nr_cpus), /*sleepers=*/0);
  VmProcess pinned(/*spinners=*/1, /*sleepers=*/0);
  Pin(pinned.tids()[0], CpuSet{0});
  const std::vector<Duration> vms_before = CpuTimes(vms_);
  const Duration pinned_before = CpuTime(pinned.tids()[0]);
  std::this_thread::sleep_for(seconds(5));
  ExpectNothingOfTheHostBesideAVm();
  size_t i = 0;
  for (const auto& vm : vms_) {
    for (int spinner = 0; spinner < vm->spinners(); ++spinner)
      EXPECT_GT(CpuTime(vm->tids()[spinner]) - vms_before[i + spinner], milliseconds(100));
    i += vm->tids().size();
  }
  EXPECT_GT(CpuTime(pinned.tids()[0]) - pinned_before, milliseconds(20));
  for (const pid_t tid : hogs.tids()) EXPECT_GT(CpuTime(tid), milliseconds(20)) << tid;
  vms_.clear();
}

TEST_F(WholeHostTest, NiceCounts) {
  VmProcess two(/*spinners=*/2, /*sleepers=*/0);
  for (const pid_t tid : two.tids()) Pin(tid, CpuSet{1});
  // Nine times the weight; the kernel ends slices at timer ticks, so shares are not as exact.
  ASSERT_EQ(setpriority(PRIO_PROCESS, static_cast<id_t>(two.tids()[0]), -5), 0);
  ASSERT_EQ(setpriority(PRIO_PROCESS, static_cast<id_t>(two.tids()[1]), 5), 0);
  std::this_thread::sleep_for(milliseconds(200));
  const Duration first = CpuTime(two.tids()[0]), second = CpuTime(two.tids()[1]);
  std::this_thread::sleep_for(seconds(3));
  const double share = static_cast<double>((CpuTime(two.tids()[1]) - second).count()) /
                       static_cast<double>((CpuTime(two.tids()[0]) - first).count());
  printf("the nicer one gets %.2f of the other one's time\n", share);
  EXPECT_GT(share, 0.03);
  EXPECT_LT(share, 0.4);
}

// Forks, sleeps, yields, threads that end.
TEST_F(WholeHostTest, TheHostGoesOnWhateverItDoes) {
  StartVms();
  const ChaosProcess chaos(30, /*seed=*/1);
  ASSERT_EQ(system("for i in 1 2 3 4 5 6 7 8 9 10; do (exit 0); done"), 0);
  ExpectAllGoesOn();
}

// Who may use no other core waits there, and the kernel for them, but not for long.
TEST_F(WholeHostTest, ThreadsThatMayGoNowhereElseDoNotKeepACpu) {
  StartVms();
  VmProcess core(/*spinners=*/4, /*sleepers=*/2), cpu(/*spinners=*/2, /*sleepers=*/1);
  for (const pid_t tid : core.tids()) Pin(tid, topology_.core(0).siblings);
  for (const pid_t tid : cpu.tids()) Pin(tid, CpuSet{1});
  Duration longest{0};
  for (int round = 0; round < Rounds(/*daily=*/4); ++round) {
    const Time begin = kernel_->Now();
    SetOnline(CpuId(1), false);
    longest = std::max(longest, kernel_->Now() - begin);
    std::this_thread::sleep_for(milliseconds(200));
    SetOnline(CpuId(1), true);
    for (const pid_t tid : cpu.tids()) Pin(tid, CpuSet{1});
    std::this_thread::sleep_for(milliseconds(200));
  }
  printf("a CPU took %lld ms at most to go\n", static_cast<long long>(longest.count() / 1000000));
  EXPECT_LT(longest, seconds(5)) << "that is the guard's doing";
  ExpectAllGoesOn();
}

// The kernel waits for threads meanwhile, for its RCU thread for example.
TEST_F(WholeHostTest, CpusGoAndCome) {
  StartVms();
  const ChaosProcess chaos(30, /*seed=*/1);
  for (int round = 0; round < Rounds(/*daily=*/2); ++round) {
    SetOnline(CpuId(1), false);
    ASSERT_EQ(system("for i in 1 2 3 4 5 6 7 8 9 10; do (exit 0); done"), 0);
    SetOnline(CpuId(1), true);
  }
  ExpectAllGoesOn();
}

TEST_F(WholeHostTest, AThreadThatIsGivenBackIsTheHosts) {
  StartVms();
  const int all = Attached();
  for (int round = 0; round < 5; ++round) {
    std::vector<std::pair<pid_t, DomainId>> given_back;
    for (const ghost_status_word& word : kernel_->status_words()) {
      if ((word.flags & GHOST_SW_INUSE) == 0 || word.tgid != static_cast<uint32_t>(vms_[0]->pid()))
        continue;
      given_back.emplace_back(word.tid, DomainId(word.domain));
      ASSERT_TRUE(kernel_->DetachTask(Gtid(word.gtid)).ok());
    }
    ASSERT_EQ(given_back.size(), vms_[0]->tids().size());
    EXPECT_EQ(Attached(), all - static_cast<int>(given_back.size()));
    for (const auto& [tid, domain] : given_back) EXPECT_EQ(sched_getscheduler(tid), SCHED_OTHER);
    const Duration before = CpuTime(vms_[0]->tids()[0]);
    std::this_thread::sleep_for(milliseconds(300));
    EXPECT_GT(CpuTime(vms_[0]->tids()[0]), before) << "it does not run";
    for (const auto& [tid, domain] : given_back)
      ASSERT_TRUE(kernel_->AttachTask(tid, domain, 0, 100).ok());
    std::this_thread::sleep_for(milliseconds(300));
    EXPECT_EQ(Attached(), all);
  }
  ASSERT_TRUE(auditor_->Reset().ok());
  std::this_thread::sleep_for(seconds(1));
  ExpectNothingOfTheHostBesideAVm();
  vms_.clear();
}

}  // namespace
}  // namespace corral
