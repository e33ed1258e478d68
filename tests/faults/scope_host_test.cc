// SPDX-License-Identifier: Apache-2.0
// `scope: host` by a reload, under VMs that compute: from then on nothing of the host runs beside
// a VM, also after the class was lost and came back; and back to `scope: vms`. In the test host.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "kernel/bpf/sched_ext_state.h"
#include "tests/class/chaos_process.h"
#include "tests/faults/victim.h"

namespace corral {
namespace {

using std::chrono::seconds;

constexpr seconds kPatience{90};

class ScopeTest : public testing::Test {
 protected:
  bool WholeHost() { return victim_.corral().kernel().info().whole_host != 0; }

  void Reload(const std::string& was, const std::string& is, bool whole_host) {
    std::ostringstream text;
    text << std::ifstream(LiveCorral::kConfig).rdbuf();
    std::ofstream(LiveCorral::kConfig) << absl::StrReplaceAll(text.str(), {{was, is}});
    ASSERT_EQ(kill(victim_.corral().daemon(), SIGHUP), 0);
    AwaitAnother();
    EXPECT_EQ(WholeHost(), whole_host);
  }
  // The class that is there now has gone, another one has come, and the VMs are in it.
  void AwaitAnother() {
    ASSERT_TRUE(Within(kPatience, [&] { return !victim_.corral().kernel().info().enabled; }));
    ASSERT_TRUE(Within(kPatience, [] { return ReadSchedExtState().state == "enabled"; }));
    victim_.corral().OpenClass();
    const std::map<pid_t, uint64_t> before = victim_.RunTimes();
    ASSERT_TRUE(Within(kPatience, [&] { return victim_.Whole() && victim_.EveryVcpuRan(before); }))
        << victim_.Describe();
  }
  // For how long a thread of the host ran beside a VM on the VMs' core.
  Duration BesideTheHostWithin(std::chrono::milliseconds time) {
    EXPECT_TRUE(victim_.corral().auditor().Reset().ok());
    std::this_thread::sleep_for(time);
    const absl::StatusOr<AuditReport> report = victim_.corral().auditor().Read();
    EXPECT_TRUE(report.ok()) << report.status();
    if (!report.ok()) return Duration(0);
    EXPECT_FALSE(report->gaps.Any());
    EXPECT_EQ(report->total[AUDIT_VCPU_ENFORCED].time.count(), 0);
    EXPECT_EQ(report->total[AUDIT_VCPU_EXPOSED].time.count(), 0);
    for (const AuditCore& core : report->cores) {
      if (core.cpus.front() == kFirst) return core[AUDIT_BESIDE_HOST].time;
    }
    ADD_FAILURE() << "the auditor knows no such core";
    return Duration(0);
  }

  // Agents are not held back, so they are elsewhere.
  static constexpr CpuId kFirst{2};
  Victim victim_{"\"2-3\""};
};

TEST_F(ScopeTest, IsChangedByAReload) {
  const ChaosProcess host(8, /*seed=*/1);
  EXPECT_FALSE(WholeHost());
  // Else it would not be much of a test.
  ASSERT_GT(BesideTheHostWithin(seconds(3)), std::chrono::milliseconds(10));

  ASSERT_NO_FATAL_FAILURE(
      Reload("version: 1\n", "version: 1\nscope: host\nhousekeeping: \"0-1\"\n", true));
  EXPECT_EQ(BesideTheHostWithin(seconds(5)).count(), 0);
  const VirshShell::Answer answer = victim_.virsh().Run("list");
  EXPECT_TRUE(answer.ok) << answer.text;

  EjectTheClass();
  ASSERT_NO_FATAL_FAILURE(AwaitAnother());
  EXPECT_TRUE(WholeHost()) << "the class came back without the host";
  EXPECT_EQ(BesideTheHostWithin(seconds(3)).count(), 0);

  ASSERT_NO_FATAL_FAILURE(Reload("scope: host\n", "scope: vms\n", false));
  EXPECT_GT(BesideTheHostWithin(seconds(3)).count(), 0);
}

}  // namespace
}  // namespace corral
