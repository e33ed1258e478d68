// SPDX-License-Identifier: Apache-2.0
// What the machine's own scheduler does with two VMs that want all CPUs: the figure that Corral has
// to beat, and the proof that the auditor does not simply always say 0.
#include <gtest/gtest.h>

#include <cstdio>
#include <numeric>
#include <vector>

#include "kernel/audit/auditor.h"
#include "tests/audit/machine.h"
#include "tests/audit/spinner.h"

namespace corral {
namespace {

TEST(LoadTest, TheDefaultSchedulerMixesMachines) {
  const Machine machine = ThisMachine();
  if (!machine.obstacle.empty()) GTEST_SKIP() << machine.obstacle;
  absl::StatusOr<Auditor> auditor = Auditor::Load({.cores = machine.cores});
  ASSERT_TRUE(auditor.ok()) << auditor.status();
  Spinner a(Spinner::How::kFork), b(Spinner::How::kFork);
  ASSERT_TRUE(auditor->Declare({a.pid(), b.pid()}).ok());
  SpinPlan plan;
  plan.policy = 0;
  plan.begin = MonotonicNow() + 200'000'000;
  plan.end = plan.begin + 3'000'000'000;
  // As many as there are CPUs, an odd number each: however they settle, a core is shared.
  const size_t cpus = static_cast<size_t>(std::accumulate(
      machine.cores.begin(), machine.cores.end(), 0,
      [](int sum, const CpuSet& core) { return sum + static_cast<int>(core.size()); }));
  const size_t odd = cpus / 2 % 2 == 0 ? cpus / 2 + 1 : cpus / 2;
  a.Start(std::vector<SpinPlan>(odd, plan));
  b.Start(std::vector<SpinPlan>(cpus - odd, plan));
  SleepUntil(plan.begin);
  ASSERT_TRUE(auditor->Reset().ok());
  SleepUntil(plan.end);
  const absl::StatusOr<AuditReport> report = auditor->Read();
  ASSERT_TRUE(report.ok()) << report.status();

  const AuditSpan& overlap = report->total[AUDIT_VCPU_VCPU];
  const double core_time = static_cast<double>(report->total[AUDIT_BUSY].time.count());
  const double percent = 100.0 * static_cast<double>(overlap.time.count()) / core_time;
  std::printf(
      "default scheduler: %.1f%% of %.2f s of core time, %llu overlaps, longest %.2f ms, %llu core "
      "switches, "
      "%llu overtaken events (%lld ns)\n",
      percent, core_time / 1e9, static_cast<unsigned long long>(overlap.count),
      overlap.longest.count() / 1e6, static_cast<unsigned long long>(report->total.switches),
      static_cast<unsigned long long>(report->total.negative_intervals),
      static_cast<long long>(report->total.negative_time.count()));
  EXPECT_GT(percent, 5.0);
  EXPECT_FALSE(report->gaps.Any());
}

}  // namespace
}  // namespace corral

int main(int argc, char** argv) {
  corral::Spinner::MaybeRun(argc, argv);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
