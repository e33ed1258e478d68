// SPDX-License-Identifier: Apache-2.0
// What secure_vm promises, on a real kernel with plain threads: a VM with a budget has it beside
// neighbours that compute all the time. Emulated, so what counts are shares of the time that the
// class's threads had on the whole, in one run. Runs as root in the test host.
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <string>
#include <thread>

#include "agent/views/wait_view.h"
#include "kernel/cpu_mask.h"
#include "tests/class/agent_host_fixture.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TaskAttributes kPromised = {.budget = milliseconds(60), .period = milliseconds(100)};

class PromisesHostTest : public AgentHostTest {
 protected:
  const ghost_status_word* WordOf(pid_t tid) const {
    for (const ghost_status_word& word : kernel_->status_words()) {
      if ((word.flags & GHOST_SW_INUSE) && word.tid == static_cast<uint32_t>(tid)) return &word;
    }
    return nullptr;
  }
  // The lead agent judges; where everything is emulated it may take its time.
  bool Becomes(pid_t tid, const std::function<bool(const ghost_status_word&)>& as) const {
    for (int i = 0; i < 6000; ++i) {
      if (as(*WordOf(tid))) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }
  // What each thread had of one CPU's supply: what all CPUs gave to the class's threads.
  std::vector<double> SharesSince(const VmProcesses& vms,
                                  const std::vector<Duration>& before) const {
    const std::vector<Duration> after = CpuTimes(vms);
    const double supply = static_cast<double>(Supply(before, after).count());
    std::vector<double> shares;
    for (size_t i = 0; i < before.size(); ++i)
      shares.push_back(static_cast<double>((after[i] - before[i]).count()) / supply);
    return shares;
  }
  Duration Supply(const std::vector<Duration>& before, const std::vector<Duration>& after) const {
    Duration all{0};
    for (size_t i = 0; i < before.size(); ++i) all += after[i] - before[i];
    return all / (2 * topology_.nr_cores());
  }
  std::vector<double> SharesDuring(const VmProcesses& vms, Duration time) const {
    const std::vector<Duration> before = CpuTimes(vms);
    std::this_thread::sleep_for(time);
    return SharesSince(vms, before);
  }
  // While each CPU supplied a second.
  std::vector<double> SharesOfOneSecond(const VmProcesses& vms) const {
    const std::vector<Duration> before = CpuTimes(vms);
    do {
      std::this_thread::sleep_for(milliseconds(10));
    } while (Supply(before, CpuTimes(vms)) < seconds(1));
    return SharesSince(vms, before);
  }
  static void Pin(pid_t tid, const CpuSet& cpus) {
    const cpu_set_t mask = MaskOf(cpus);
    ASSERT_EQ(sched_setaffinity(tid, sizeof(mask), &mask), 0) << strerror(errno);
  }
  bool BecomesPromised(pid_t tid) const {
    constexpr auto kBudget = static_cast<uint64_t>(kPromised.budget.count());
    return Becomes(tid, [](const ghost_status_word& word) { return word.granted_ns == kBudget; });
  }
  // For each spinner of the VM.
  void AskFor(const VmProcess& vm, const TaskAttributes& attributes) {
    for (const pid_t tid : vm.tids()) {
      const ghost_status_word* const word = WordOf(tid);
      ASSERT_NE(word, nullptr);
      const absl::Status status = kernel_->UpdateTask(Gtid(word->gtid), attributes);
      ASSERT_TRUE(status.ok()) << status;
    }
  }
};

// Three VMs for each core, all of them computing on both siblings. Judged by the second of supply,
// twice: what the second run says otherwise than the first is noise, which has to be small beside
// the tolerance of 1 %.
TEST_F(PromisesHostTest, APromisedBudgetIsHadBesideNeighboursThatSpin) {
  constexpr double kTolerance = 0.01;
  constexpr int kSeconds = 8;
  VmProcesses vms;
  StartAgent("{\"tenure\":\"20ms\",\"min_tenure\":\"5ms\"}");
  const int cores = topology_.nr_cores();
  for (int i = 0; i < 3 * cores; ++i)
    vms.push_back(std::make_unique<VmProcess>(/*spinners=*/2, /*sleepers=*/0));
  AttachAll(vms);
  ASSERT_NO_FATAL_FAILURE(AskFor(*vms[0], kPromised));
  for (const pid_t tid : vms[0]->tids()) ASSERT_TRUE(BecomesPromised(tid));
  std::this_thread::sleep_for(seconds(1));
  ASSERT_TRUE(auditor_->Reset().ok());
  std::vector<double> had(2 * vms.size());
  double kept[2] = {};  // the part of the promise, of each run
  for (double& run : kept) {
    for (int second = 0; second < kSeconds; ++second) {
      const std::vector<double> shares = SharesOfOneSecond(vms);
      for (size_t i = 0; i < shares.size(); ++i) had[i] += shares[i] / (2 * kSeconds);
      for (int i = 0; i < 2; ++i) {
        EXPECT_GE(shares[i], 0.6 * (1 - kTolerance)) << "of second " << second;
        run += std::min(shares[i] / 0.6, 1.0) / (2 * kSeconds);
      }
    }
  }
  printf("promised 60 %%; kept %.2f %% and %.2f %% of it; of the supply the VMs' vCPUs had",
         kept[0] * 100, kept[1] * 100);
  for (const double share : had) printf(" %.1f %%", share * 100);
  printf("\n");
  EXPECT_NEAR(kept[0], kept[1], kTolerance / 2) << "too noisy to judge";
  for (size_t i = 2; i < had.size(); ++i) EXPECT_GT(had[i], 0.05) << "the rest is shared";
  ExpectIsolated();
}

// Three VMs of one vCPU on each core: what each ran, and what its agent says that it waited for,
// make up all of the time, and most of the waiting is for the others' turns beside an idle sibling.
TEST_F(PromisesHostTest, WhatTheyWaitForIsTold) {
  VmProcesses vms;
  StartAgent("{}");
  for (int i = 0; i < 3 * topology_.nr_cores(); ++i)
    vms.push_back(std::make_unique<VmProcess>(/*spinners=*/1, /*sleepers=*/0));
  AttachAll(vms);
  std::this_thread::sleep_for(seconds(2));
  ASSERT_TRUE(auditor_->Reset().ok());
  WaitWatch watch(*kernel_);
  for (const Time end = kernel_->Now() + seconds(6); kernel_->Now() < end;) {
    watch.Look();
    std::this_thread::sleep_for(milliseconds(10));
  }
  const std::vector<VcpuWaits> told = watch.Result();
  ASSERT_EQ(told.size(), vms.size());
  Waits sum{};
  for (const VcpuWaits& v : told) {
    printf("ran %.1f %%, unexplained %.1f %%, waited", v.Percent(v.ran),
           v.Percent(v.time - v.ran - v.all_waited()));
    for (int i = 0; i < GHOST_NR_WAITS; ++i) {
      printf(" %s %.1f %%", NameOf(static_cast<ghost_wait>(i)), v.Percent(v.waited[i]));
      sum[i] += v.waited[i];
    }
    printf("\n");
    EXPECT_NEAR(v.Percent(v.ran + v.all_waited()), 100, 2);
  }
  EXPECT_EQ(std::max_element(sum.begin(), sum.end()) - sum.begin(), GHOST_WAIT_FORCED_IDLE);
  EXPECT_EQ(sum[GHOST_WAIT_CAP], Duration(0));
  ExpectIsolated();
}

// vCPUs that compute are pinned to the other core, and then each to a CPU of it, as `virsh vcpupin
// --live` does it: their promises are granted there within a second, and kept.
TEST_F(PromisesHostTest, PromisesGoWhereTheirVcpusArePinned) {
  VmProcesses vms;
  StartAgent("{\"tenure\":\"20ms\",\"min_tenure\":\"5ms\"}");
  const int cores = topology_.nr_cores();
  for (int i = 0; i < 3 * cores; ++i)
    vms.push_back(std::make_unique<VmProcess>(/*spinners=*/2, /*sleepers=*/0));
  AttachAll(vms);
  ASSERT_NO_FATAL_FAILURE(AskFor(*vms[0], kPromised));
  const std::vector<pid_t>& tids = vms[0]->tids();
  for (const pid_t tid : tids) ASSERT_TRUE(BecomesPromised(tid));
  ASSERT_TRUE(auditor_->Reset().ok());
  const int there = topology_.CoreOf(CpuId(kernel_->cores()[WordOf(tids[0])->place].cpus[0]));
  const Core& other = topology_.core(1 - there);
  const std::vector<std::vector<CpuSet>> pins = {
      {other.siblings, other.siblings},
      {CpuSet{other.cpu[1].value()}, CpuSet{other.cpu[0].value()}}};
  for (const std::vector<CpuSet>& cpus : pins) {
    const Time pinned = kernel_->Now();
    for (int i = 0; i < 2; ++i) ASSERT_NO_FATAL_FAILURE(Pin(tids[i], cpus[i]));
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(Becomes(tids[i], [&](const ghost_status_word& word) {
        const CpuId promised_on(kernel_->cores()[word.place].cpus[0]);
        return word.granted_ns != 0 && other.siblings.Contains(promised_on) &&
               cpus[i].Contains(CpuId(word.cpu));
      }));
    }
    const Duration took = kernel_->Now() - pinned;
    const std::vector<double> shares = SharesDuring(vms, seconds(6));
    printf("pinned to CPUs %s and %s: there after %.1f ms; promised 60 %%, had %.1f and %.1f %%\n",
           cpus[0].Format().c_str(), cpus[1].Format().c_str(), took.count() / 1e6, shares[0] * 100,
           shares[1] * 100);
    EXPECT_LT(took, seconds(1));
    for (int i = 0; i < 2; ++i) EXPECT_GE(shares[i], 0.6 * 0.99);
    for (size_t i = 2; i < shares.size(); ++i) EXPECT_GT(shares[i], 0.05) << "the rest is shared";
  }
  ExpectIsolated();
}

// More than there is: refused with the numbers, run all the same, and promised once there is room.
TEST_F(PromisesHostTest, WhatDoesNotFitIsRefusedAndPromisedOnceItDoes) {
  VmProcesses vms;
  StartAgent("{}");
  const int cores = topology_.nr_cores();
  for (int i = 0; i <= cores; ++i)
    vms.push_back(std::make_unique<VmProcess>(/*spinners=*/2, /*sleepers=*/0));
  AttachAll(vms);
  for (int i = 0; i < cores; ++i) {
    ASSERT_NO_FATAL_FAILURE(AskFor(*vms[i], kPromised));
    for (const pid_t tid : vms[i]->tids()) ASSERT_TRUE(BecomesPromised(tid));
  }
  ASSERT_NO_FATAL_FAILURE(AskFor(*vms.back(), kPromised));
  const pid_t last = vms.back()->tids()[0];
  ASSERT_TRUE(Becomes(last, [](const ghost_status_word& word) { return word.free_ns > 0; }));
  EXPECT_EQ(WordOf(last)->granted_ns, 0u);
  EXPECT_LT(WordOf(last)->free_ns, static_cast<uint64_t>(kPromised.budget.count()));
  ASSERT_TRUE(auditor_->Reset().ok());
  const Duration before = CpuTime(last);
  std::this_thread::sleep_for(seconds(2));
  EXPECT_GT(CpuTime(last), before) << "it runs best-effort";
  ExpectIsolated();
  // The end of a process is not its vCPUs': its first thread, which is in no class, is woken to
  // die.
  printf("VM %d dies, of threads %d and %d\n", vms.front()->pid(), vms.front()->tids()[0],
         vms.front()->tids()[1]);
  vms.front()->Kill();
  EXPECT_TRUE(BecomesPromised(last)) << "there is room now";
  vms.erase(vms.begin());
  const absl::StatusOr<AuditReport> death = auditor_->Read();
  ASSERT_TRUE(death.ok()) << death.status();
  PrintWorst(death->total[AUDIT_VCPU_EXPOSED]);
  EXPECT_EQ(death->total[AUDIT_VCPU_ENFORCED].time.count(), 0);
  ASSERT_TRUE(auditor_->Reset().ok());
  std::this_thread::sleep_for(seconds(1));
  ExpectIsolated();
}

}  // namespace
}  // namespace corral
