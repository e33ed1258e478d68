// SPDX-License-Identifier: Apache-2.0
// What `corralctl explain` and `corralctl cost` say of VMs whose waits are known.
#include "agent/ctl/explain_output.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "tests/sim/bare_vms.h"

namespace corral::ctl {
namespace {

using std::chrono::milliseconds;

std::vector<VcpuWaits> WatchFor(BareVms& vms, Duration time) {
  WaitWatch watch(vms.control());
  for (Duration passed{0}; passed < time; passed += milliseconds(20)) {
    watch.Look();
    vms.machine().RunFor(milliseconds(20));
  }
  return watch.Result();
}

std::vector<VcpuWaits> Of(const std::vector<VcpuWaits>& all, const BareVms::Vcpu& vcpu) {
  for (const VcpuWaits& waits : all) {
    if (waits.slot == GHOST_GTID_SLOT(vcpu.task.value())) return {waits};
  }
  ADD_FAILURE() << "it is not there";
  return {};
}

void ExpectNarrow(const std::string& text) {
  for (const absl::string_view line : absl::StrSplit(text, '\n'))
    EXPECT_LE(line.size(), 80u) << text;
}

// Two VMs of one vCPU each on one core: each runs half of the time, and waits beside an idle
// sibling in the other half. As one domain they would not wait at all.
TEST(Explain, TwoVmsOfOneVcpu) {
  BareVms vms(1, 2);
  const BareVms::Vcpu a = vms.AddVm<Spinner>(1, "red").front();
  vms.AddVm<Spinner>(1, "blue");
  const std::vector<VcpuWaits> all = WatchFor(vms, std::chrono::seconds(5));
  ASSERT_EQ(all.size(), 2u);
  const std::vector<VcpuWaits> its = Of(all, a);
  EXPECT_NEAR(its[0].Percent(its[0].ran), 50, 1);
  EXPECT_NEAR(its[0].Percent(its[0].waited[GHOST_WAIT_FORCED_IDLE]), 50, 1);
  EXPECT_LT(its[0].Percent(its[0].slept()), 1);
  const std::string text = ExplainText("red", its, all);
  EXPECT_TRUE(absl::StrContains(text, "a sibling that must idle: blue")) << text;
  ExpectNarrow(text);

  const Cost cost = CostOf(all);
  ASSERT_EQ(cost.domains.size(), 2u);
  EXPECT_NEAR(cost.domains[0].forced_idle, 0.5, 0.01);
  EXPECT_NEAR(cost.domains[0].turn, 0, 0.01);
  ASSERT_EQ(cost.mergers.size(), 1u);
  EXPECT_NEAR(cost.mergers[0].saves, 1, 0.02);
  EXPECT_TRUE(absl::StrContains(CostText(cost), "red and blue")) << CostText(cost);
  ExpectNarrow(CostText(cost));
  EXPECT_NEAR(ToJson(cost)["mergers"][0]["saves_cpus"].get<double>(), 1, 0.02);
}

TEST(Explain, WhoeverHasACoreWaitsForNothing) {
  BareVms vms(2, 2);
  const BareVms::Vcpu a = vms.AddVm<Spinner>(2, "red").front();
  const std::vector<VcpuWaits> all = WatchFor(vms, std::chrono::seconds(3));
  const std::string text = ExplainText("red", Of(all, a), all);
  EXPECT_TRUE(absl::StrContains(text, "It does not wait for anything.")) << text;
  EXPECT_TRUE(CostOf(all).mergers.empty());
}

TEST(Explain, ACap) {
  BareVms vms(1, 1);
  const BareVms::Vcpu a = vms.AddVm<Spinner>(1, "red").front();
  ASSERT_TRUE(vms.control()
                  .UpdateTask(a.task, {.cap = milliseconds(25), .cap_period = milliseconds(100)})
                  .ok());
  vms.machine().RunFor(milliseconds(500));
  const std::vector<VcpuWaits> all = WatchFor(vms, std::chrono::seconds(4));
  EXPECT_NEAR(all[0].Percent(all[0].ran), 25, 1);
  EXPECT_NEAR(all[0].Percent(all[0].waited[GHOST_WAIT_CAP]), 75, 1);
  EXPECT_TRUE(absl::StrContains(ExplainText("red", all, all), "its cap (vcpu_quota"));
  const nlohmann::json json = ToJson(all[0]);
  EXPECT_EQ(json["waited"]["cap_ns"].get<int64_t>(), all[0].waited[GHOST_WAIT_CAP].count());
}

}  // namespace
}  // namespace corral::ctl
