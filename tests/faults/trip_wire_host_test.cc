// SPDX-License-Identifier: Apache-2.0
// The kernel ejects the class: who stops the VMs is the class's trip wire, with no agent and no
// daemon there. Compared with the same ejection without the wire, in the same run. Runs as root in
// the test host.
#include <fcntl.h>
#include <sys/resource.h>

#include <fstream>
#include <string>
#include <thread>

#include "agent/daemon/bypass_stops.h"
#include "kernel/fd.h"
#include "tests/class/class_host_fixture.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kPatience = seconds(10);
constexpr Duration kWatched = seconds(3);

// The letter that /proc/PID/stat has for it.
char StateOf(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const size_t end = text.rfind(") ");
  return end == std::string::npos ? '?' : text[end + 2];
}

class TripWireTest : public ClassHostTest {
 protected:
  struct Outcome {
    bool stopped = false;
    Duration until_stopped{};  // from the ejection, of the last one
    Duration overlap{};        // two VMs on a core, summed over all cores
  };

  void StartVms() {
    for (int i = 0; i < 4; ++i)
      vms_.push_back(std::make_unique<VmProcess>(/*spinners=*/2, /*sleepers=*/1));
    AttachAll(vms_);
    std::this_thread::sleep_for(seconds(1));
    ASSERT_TRUE(auditor_->Reset().ok());
  }
  bool AllStopped() const {
    for (const auto& vm : vms_) {
      if (StateOf(vm->pid()) != 'T') return false;
    }
    return true;
  }
  static void Eject() {
    std::ofstream("/proc/sys/kernel/sysrq") << 1 << std::flush;
    std::ofstream("/proc/sysrq-trigger") << 'S' << std::flush;
  }
  // Ejects the class and watches for kWatched what becomes of the VMs.
  void EjectAndWatch(Outcome& outcome) {
    const Time begin = kernel_->Now();
    Eject();
    for (const Time end = begin + kPatience; kernel_->info().enabled && kernel_->Now() < end;)
      std::this_thread::sleep_for(milliseconds(1));
    ASSERT_FALSE(kernel_->info().enabled);
    while (kernel_->Now() < begin + kWatched) {
      if (!outcome.stopped && AllStopped()) {
        outcome.stopped = true;
        outcome.until_stopped = kernel_->Now() - begin;
      }
      std::this_thread::sleep_for(milliseconds(2));
    }
    const absl::StatusOr<AuditReport> report = auditor_->Read();
    ASSERT_TRUE(report.ok()) << report.status();
    outcome.overlap =
        report->total[AUDIT_VCPU_ENFORCED].time + report->total[AUDIT_VCPU_EXPOSED].time;
    printf("trips %llu, signals %llu, all stopped: %s (after %lld ms), overlap %lld us\n",
           kernel_->info().trips, kernel_->info().stops, outcome.stopped ? "yes" : "no",
           static_cast<long long>(outcome.until_stopped.count() / 1000000),
           static_cast<long long>(outcome.overlap.count() / 1000));
  }
  void BeginAnew() {
    vms_.clear();
    kernel_.reset();
    const absl::Status unloaded = UnloadClass();
    ASSERT_TRUE(unloaded.ok()) << unloaded;
    ASSERT_NO_FATAL_FAILURE(LoadTheClass());
  }

  VmProcesses vms_;
};

TEST_F(TripWireTest, StopsVmsWithTheClass) {
  Outcome without;
  ASSERT_NO_FATAL_FAILURE(StartVms());
  ASSERT_NO_FATAL_FAILURE(EjectAndWatch(without));
  EXPECT_FALSE(without.stopped);
  EXPECT_FALSE(AllStopped());
  // It would not be much of a test if they did not meet.
  ASSERT_GT(without.overlap, milliseconds(500));

  ASSERT_NO_FATAL_FAILURE(BeginAnew());
  Outcome with;
  ASSERT_TRUE(kernel_->Protect(enclave_, {.stop_on_loss = true}).ok());
  ASSERT_NO_FATAL_FAILURE(StartVms());
  ASSERT_NO_FATAL_FAILURE(EjectAndWatch(with));
  EXPECT_TRUE(with.stopped);
  EXPECT_LT(with.overlap, without.overlap / 5);
  vms_.clear();
}

// Around a suspend the kernel bypasses the class: VMs that would meet are stopped, and corrald lets
// them go on afterwards. Who opens /dev/snapshot is about to write the machine to disk, so the
// kernel prepares for it, as for any suspend; closing it takes everything back.
TEST_F(TripWireTest, ASuspendIsSurvived) {
  ASSERT_TRUE(kernel_->Protect(enclave_, {.stop_on_loss = true}).ok());
  ASSERT_NO_FATAL_FAILURE(StartVms());
  {
    const Fd snapshot(open("/dev/snapshot", O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(snapshot) << strerror(errno);
    std::this_thread::sleep_for(seconds(1));
  }
  const absl::StatusOr<AuditReport> report = auditor_->Read();
  ASSERT_TRUE(report.ok()) << report.status();
  BypassStops stops;
  size_t resumed = 0;
  for (int look = 0; look < 20; ++look) {
    resumed += stops.Resume(*kernel_);
    std::this_thread::sleep_for(milliseconds(100));
  }
  EXPECT_GT(kernel_->info().trips, 0u) << "the kernel did not bypass the class";
  printf("suspend: trips %llu, signals %llu, processes resumed %zu, overlap %lld us\n",
         kernel_->info().trips, kernel_->info().stops, resumed,
         static_cast<long long>(report->total[AUDIT_VCPU_ENFORCED].time.count() / 1000));
  EXPECT_TRUE(kernel_->info().enabled);
  for (const auto& vm : vms_) EXPECT_NE(StateOf(vm->pid()), 'T');
  const std::vector<Duration> before = CpuTimes(vms_);
  std::this_thread::sleep_for(seconds(3));
  ExpectProgress(vms_, before, milliseconds(5));
  vms_.clear();
}

// A thread that leaves by its own or anybody's wish is not stopped, and neither is one that dies.
TEST_F(TripWireTest, LeavesOthersAlone) {
  ASSERT_TRUE(kernel_->Protect(enclave_, {.stop_on_loss = true}).ok());
  ASSERT_NO_FATAL_FAILURE(StartVms());
  for (int round = 0; round < 5; ++round) {
    const sched_param param = {};
    for (const pid_t tid : vms_[0]->tids()) {
      ASSERT_EQ(sched_setscheduler(tid, SCHED_OTHER, &param), 0);
      setpriority(PRIO_PROCESS, static_cast<id_t>(tid), round);
    }
    vms_[1]->Kill();
    std::this_thread::sleep_for(milliseconds(100));
    VmProcesses again;
    again.push_back(std::make_unique<VmProcess>(/*spinners=*/2, /*sleepers=*/2));
    AttachAll(again);
    vms_[1] = std::move(again[0]);
  }
  EXPECT_EQ(kernel_->info().trips, 0u);
  for (const auto& vm : vms_) EXPECT_NE(StateOf(vm->pid()), 'T');
  vms_.clear();
}

}  // namespace
}  // namespace corral
