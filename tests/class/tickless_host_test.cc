// SPDX-License-Identifier: Apache-2.0
// A vCPU that runs alone on a nohz_full CPU is not interrupted by ticks, and one on another CPU of
// the same machine is. Runs as root in the test host, booted with nohz_full= for the second core.
//
// When a thread of the host has run on such a CPU, the kernel's deadline servers may go on ticking
// there for seconds although nothing but the vCPU is runnable, so the test does without them, and
// the best second of many counts, on either core.
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <thread>

#include "kernel/cpu_mask.h"
#include "tests/class/agent_host_fixture.h"

namespace corral {
namespace {

using std::chrono::seconds;

constexpr double kMany = 1e9;

class TicklessHostTest : public AgentHostTest {
 protected:
  uint64_t TicksOf(const CpuSet& cpus) const {
    uint64_t ticks = 0;
    cpus.ForEach([&](CpuId cpu) { ticks += kernel_->cpu_states()[cpu.value()].ticks; });
    return ticks;
  }
  // Of one of the CPUs, while it has a vCPU, on average.
  double TicksPerSecond(const CpuSet& cpus, Duration time) const {
    const Time began = kernel_->Now();
    const uint64_t before = TicksOf(cpus);
    std::this_thread::sleep_for(time);
    const std::chrono::duration<double> elapsed = kernel_->Now() - began;
    return static_cast<double>(TicksOf(cpus) - before) / elapsed.count() / cpus.size();
  }
  static void StayOn(const CpuSet& cpus) {
    const cpu_set_t mask = MaskOf(cpus);
    ASSERT_EQ(sched_setaffinity(0, sizeof(mask), &mask), 0);
  }
  static void StopDeadlineServers(const CpuSet& cpus) {
    mount("debugfs", "/sys/kernel/debug", "debugfs", 0, nullptr);  // or it is there already
    for (const std::string server : {"fair_server", "ext_server"}) {
      if (access(("/sys/kernel/debug/sched/" + server).c_str(), F_OK) != 0) continue;
      cpus.ForEach([&](CpuId cpu) {
        std::ofstream file("/sys/kernel/debug/sched/" + server + "/cpu" +
                           std::to_string(cpu.value()) + "/runtime");
        file << 0 << std::flush;
        EXPECT_TRUE(file) << server << " of CPU " << cpu.value();
      });
    }
  }
  CpuSet NohzFull() const {
    std::string list;
    std::ifstream file("/sys/devices/system/cpu/nohz_full");
    std::getline(file, list);
    return CpuSet::Parse(list).value_or(CpuSet());
  }
};

TEST_F(TicklessHostTest, OnlyCpusThatAreNotNohzFullInterruptTheirVcpus) {
  ASSERT_EQ(topology_.nr_cores(), 2);
  const CpuSet ticking = topology_.core(0).siblings, quiet = topology_.core(1).siblings;
  ASSERT_TRUE(NohzFull().Contains(quiet)) << "boot it with nohz_full=" << quiet.Format();
  StartAgent("{}");
  VmProcesses vms;
  for (int i = 0; i < 2; ++i)
    vms.push_back(std::make_unique<VmProcess>(/*spinners=*/2, /*sleepers=*/0));
  // Whoever wakes up on a CPU, as this test does again and again, starts its tick for a while.
  ASSERT_NO_FATAL_FAILURE(StayOn(ticking));
  StopDeadlineServers(quiet);
  AttachAll(vms);
  std::this_thread::sleep_for(seconds(3));
  ASSERT_TRUE(auditor_->Reset().ok());
  double with = kMany, without = kMany;
  for (int second = 0; second < 20; ++second) {
    with = std::min(with, TicksPerSecond(ticking, seconds(1)));
    without = std::min(without, TicksPerSecond(quiet, seconds(1)));
  }
  printf("ticks a second of a CPU, at best: %.1f; nohz_full %.1f\n", with, without);
  EXPECT_GT(with, 10);
  EXPECT_LT(without, with / 10);
  const absl::StatusOr<AuditReport> report = auditor_->Read();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_GT(report->total[AUDIT_BUSY].time, report->observed * 19 / 10) << "of both cores";
  ExpectIsolated();
}

}  // namespace
}  // namespace corral
