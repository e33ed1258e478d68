// SPDX-License-Identifier: Apache-2.0
// The class on a real kernel, with plain threads, and nobody but itself to decide. Runs as root in
// the test host.
#include "tests/class/class_host_fixture.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_F(ClassHostTest, AloneItIsolatesAndStarvesNobody) {
  VmProcesses vms;
  for (int i = 0; i < 4; ++i)
    vms.push_back(std::make_unique<VmProcess>(/*spinners=*/2, /*sleepers=*/1));
  AttachAll(vms);
  std::this_thread::sleep_for(milliseconds(500));
  ASSERT_TRUE(auditor_->Reset().ok());
  const std::vector<Duration> before = CpuTimes(vms);
  std::this_thread::sleep_for(seconds(8));
  ExpectProgress(vms, before, milliseconds(20));
  PrintCores();
  ExpectIsolated();
  EXPECT_GT(Sum(&ghost_core_state::switches_class), 50u);
}

TEST_F(ClassHostTest, UnloadGivesEveryThreadBack) {
  VmProcesses vms;
  for (int i = 0; i < 2; ++i) vms.push_back(std::make_unique<VmProcess>(2, 1));
  AttachAll(vms);
  std::this_thread::sleep_for(milliseconds(300));
  kernel_.reset();
  ASSERT_TRUE(UnloadClass().ok());
  for (const auto& vm : vms) {
    for (const pid_t tid : vm->tids()) EXPECT_EQ(sched_getscheduler(tid), SCHED_OTHER);
  }
  LoadTheClass();  // for TearDown
}

}  // namespace
}  // namespace corral
