// SPDX-License-Identifier: Apache-2.0
// I2 on a real kernel: beside a user task of the host, tasks of a strict enclave leave the core,
// with the same in an enclave that is not strict for comparison. Runs as root in the test host.
#include "tests/class/class_host_fixture.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Longer than sched_ext's watchdog would wait for a task.
constexpr Duration kLongerThanTheWatchdog = seconds(23);

class StrictHostTest : public ClassHostTest {
 protected:
  // A VM that wants the whole of core 1 and may go nowhere else.
  void StartVm(VmProcesses& vms) {
    vms.push_back(std::make_unique<VmProcess>(/*spinners=*/2, /*sleepers=*/0));
    AttachAll(vms);
    for (const pid_t tid : vms[0]->tids()) Pin(tid, topology_.core(1).siblings);
  }
  // Of the host: no thread of it is known to the class.
  std::unique_ptr<VmProcess> StartHostTask() {
    auto host = std::make_unique<VmProcess>(/*spinners=*/1, /*sleepers=*/0);
    CpuSet one;
    one.Insert(topology_.core(1).siblings.ToVector()[0]);
    Pin(host->tids()[0], one);
    return host;
  }
  AuditCore AllCoresWithin(Duration time) {
    EXPECT_TRUE(auditor_->Reset().ok());
    std::this_thread::sleep_for(time);
    const absl::StatusOr<AuditReport> report = auditor_->Read();
    return report.ok() ? report->total : AuditCore();
  }
  static void PrintBesideHost(const char* what, const AuditCore& total) {
    const AuditSpan& beside = total[AUDIT_BESIDE_HOST];
    printf("beside a host task, %s, of 4 s: %lld ms, %llu times, p50 %lld p99 %lld max %lld us\n",
           what, static_cast<long long>(beside.time.count() / 1000000),
           static_cast<unsigned long long>(beside.count),
           static_cast<long long>(total.BesideHostPercentile(0.5).count() / 1000),
           static_cast<long long>(total.BesideHostPercentile(0.99).count() / 1000),
           static_cast<long long>(beside.longest.count() / 1000));
  }
};

TEST_F(StrictHostTest, TasksLeaveTheHostsCore) {
  VmProcesses vms;
  StartVm(vms);
  std::unique_ptr<VmProcess> host = StartHostTask();
  std::this_thread::sleep_for(milliseconds(500));
  const AuditCore shared = AllCoresWithin(seconds(4));
  ASSERT_TRUE(kernel_->Protect(enclave_, {.strict = true}).ok());
  std::this_thread::sleep_for(milliseconds(500));
  const AuditCore strict = AllCoresWithin(seconds(4));
  PrintBesideHost("shared", shared);
  PrintBesideHost("strict", strict);
  const Duration time = shared[AUDIT_BESIDE_HOST].time;
  EXPECT_GT(time, seconds(1));
  EXPECT_LT(strict[AUDIT_BESIDE_HOST].time, time / 10);

  host.reset();
  const std::vector<Duration> before = CpuTimes(vms);
  std::this_thread::sleep_for(seconds(2));
  ExpectProgress(vms, before, milliseconds(200));  // they have the core again
}

TEST_F(StrictHostTest, AHostTaskThatNeverEndsStarvesNobody) {
  VmProcesses vms;
  StartVm(vms);
  ASSERT_TRUE(kernel_->Protect(enclave_, {.strict = true}).ok());
  const std::unique_ptr<VmProcess> host = StartHostTask();
  const std::vector<Duration> before = CpuTimes(vms);
  std::this_thread::sleep_for(kLongerThanTheWatchdog);
  ExpectProgress(vms, before, milliseconds(10));
  EXPECT_TRUE(kernel_->info().enabled)
      << kernel_->info().exit_reason << ": " << kernel_->info().exit_message;
}

}  // namespace
}  // namespace corral
