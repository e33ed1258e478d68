// SPDX-License-Identifier: Apache-2.0
// What monitoring sees of a simulated class, and of VMs that are made up.
#include "agent/metrics/class_metrics.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/sim/bare_vms.h"

namespace corral::metrics {
namespace {

using std::chrono::milliseconds;

// Of the sample "NAME{LABELS}"; -1: there is none.
double ValueOf(const std::string& text, const std::string& sample) {
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    double value = 0;
    if (absl::StartsWith(line, absl::StrCat(sample, " ")) &&
        absl::SimpleAtod(line.substr(sample.size() + 1), &value))
      return value;
  }
  return -1;
}

// Prometheus' own tool has nothing to say about it.
void ExpectPromtoolIsContent(const std::string& text) {
  if (std::string(CORRAL_PROMTOOL).empty()) GTEST_SKIP() << "there is no promtool";
  const std::string file = testing::TempDir() + "/corral-metrics.prom";
  std::ofstream(file) << text;
  const std::string command = absl::StrCat(CORRAL_PROMTOOL, " check metrics <", file, " 2>&1");
  FILE* const said = popen(command.c_str(), "r");
  ASSERT_NE(said, nullptr);
  std::string all;
  char piece[4096];
  while (const size_t got = fread(piece, 1, sizeof(piece), said)) all.append(piece, got);
  EXPECT_EQ(pclose(said), 0) << all;
  EXPECT_EQ(all, "");
}

class ClassMetrics : public testing::Test {
 protected:
  ClassMetrics() {
    vcpus_.push_back(vms_.AddVm<Spinner>(1, "red").front());
    vcpus_.push_back(vms_.AddVm<Spinner>(1, "blue").front());
    vms_.machine().RunFor(milliseconds(4000));
  }

  BareVms vms_{1, 2};
  std::vector<BareVms::Vcpu> vcpus_;  // by domain
};

// Two VMs of one vCPU on one core of two siblings: each runs half of the time and waits beside an
// idle sibling in the other half (explain_test tells why so exactly).
TEST_F(ClassMetrics, SayWhatTheViewsSay) {
  const std::string text = Text(ClassFamilies(&vms_.control(), TrustRules()));
  EXPECT_EQ(ValueOf(text, "corral_class_in_charge"), 1) << text;
  const ClassView view = ViewClass(vms_.control());
  ASSERT_EQ(view.domains.size(), 2u);
  for (size_t i = 0; i < view.domains.size(); ++i) {
    const DomainView& domain = view.domains[i];
    const std::string labels = absl::StrCat("domain=\"", domain.name, "\",uuid=\"", domain.uuid,
                                            "\",enclave=\"", view.enclaves[0].name, "\"");
    EXPECT_EQ(ValueOf(text, absl::StrCat("corral_domain_vcpus{", labels, "}")), 1);
    EXPECT_NEAR(ValueOf(text, absl::StrCat("corral_domain_cpu_seconds_total{", labels, "}")),
                Seconds(domain.runtime), 1e-6);
    const Duration waited(vms_.Waits(vcpus_[i]).ns[GHOST_WAIT_FORCED_IDLE]);
    // About half of three seconds, because the agent tells about every second.
    EXPECT_GT(waited, milliseconds(1400));
    EXPECT_NEAR(ValueOf(text, absl::StrCat("corral_domain_wait_seconds_total{", labels,
                                           ",reason=\"forced_idle\"}")),
                Seconds(waited), 1e-6)
        << text;
  }
  const CoreView& core = view.cores[0];
  EXPECT_EQ(ValueOf(text, "corral_core_commits_total{core=\"0\"}"), core.counters.commits);
  EXPECT_EQ(ValueOf(text, "corral_core_breaches_total{core=\"0\"}"), 0);
  EXPECT_EQ(ValueOf(text, "corral_core_switches_total{core=\"0\",by=\"agent\"}"),
            core.counters.switches_agent);
  EXPECT_GT(core.counters.switches_agent, 0u);
  EXPECT_EQ(ValueOf(text, absl::StrCat("corral_enclave_cores_with_agent{enclave=\"",
                                       view.enclaves[0].name, "\"}")),
            1);
  ExpectPromtoolIsContent(text);
}

// Each waits about as often as it runs, for about a tenure, and all of its waiting is in the
// histogram; the agent was told of each stint's end, and decided on each.
TEST_F(ClassMetrics, TellHowLongEachWaitWas) {
  const std::string text = Text(ClassFamilies(&vms_.control(), TrustRules()));
  for (size_t i = 0; i < 2; ++i) {
    const ghost_tally& tally = vms_.control().tallies()[GHOST_GTID_SLOT(vcpus_[i].task.value())];
    const std::string name = i == 0 ? "red" : "blue";
    double count = -1, sum = -1, within_us = -1, within_s = -1;
    for (const absl::string_view line : absl::StrSplit(text, '\n')) {
      if (!absl::StrContains(line, absl::StrCat("domain=\"", name, "\""))) continue;
      double value = 0;
      if (!absl::SimpleAtod(line.substr(line.rfind(' ') + 1), &value)) continue;
      if (absl::StartsWith(line, "corral_domain_wait_seconds_count")) count = value;
      if (absl::StartsWith(line, "corral_domain_wait_seconds_sum")) sum = value;
      if (!absl::StartsWith(line, "corral_domain_wait_seconds_bucket")) continue;
      if (absl::StrContains(line, "le=\"1e-06\"")) within_us = value;
      if (absl::StrContains(line, "le=\"1\"")) within_s = value;
    }
    EXPECT_GT(count, 50) << text;
    EXPECT_EQ(within_s, count);
    EXPECT_GE(within_us, 0);
    EXPECT_LT(within_us, count / 2);
    // Of four seconds, half.
    EXPECT_NEAR(sum, 2, 0.2);
    EXPECT_NEAR(sum, Seconds(Duration(static_cast<int64_t>(tally.waited_ns))), 1e-9);
  }
  const ghost_queue_state& queue = vms_.control().queue_states()[0];
  EXPECT_GT(queue.messages, 100u);
  EXPECT_EQ(ValueOf(text, "corral_core_messages_total{core=\"0\"}"), queue.messages);
  EXPECT_EQ(ValueOf(text, "corral_core_transactions_total{core=\"0\",state=\"complete\"}"),
            queue.txns[GHOST_TXN_COMPLETE]);
  EXPECT_GT(queue.txns[GHOST_TXN_COMPLETE], 100u);
  EXPECT_GT(ValueOf(text, "corral_core_taken_seconds_total{core=\"0\",by=\"agent\"}"), 0);
}

// It is promised 70 % of a CPU, and threads of the host take what they want of both.
TEST(PromiseMetrics, WhatThreadsOfTheHostTakeIsMissed) {
  BareVms vms(1, 2);
  const BareVms::Vcpu vcpu = vms.AddVm<Spinner>(1, "red").front();
  ASSERT_TRUE(vms.control()
                  .UpdateTask(vcpu.task, {.budget = milliseconds(7), .period = milliseconds(10)})
                  .ok());
  vms.machine().RunFor(milliseconds(1500));
  const auto missed = [&] { return vms.Waits(vcpu).missed_ns; };
  EXPECT_EQ(missed(), 0u);
  std::string text = Text(ClassFamilies(&vms.control(), TrustRules()));
  EXPECT_TRUE(absl::StrContains(text, "corral_domain_guaranteed_cpus{")) << text;
  for (int cpu = 0; cpu < 2; ++cpu) vms.AddHostThread(cpu, std::make_unique<Spinner>());
  vms.machine().RunFor(milliseconds(2500));
  EXPECT_GT(vms.Waits(vcpu).missed, 50u);
  EXPECT_GT(missed(), 50u * 1'000'000);
  EXPECT_LE(missed(), vms.Waits(vcpu).missed * 7'000'000);
}

TEST_F(ClassMetrics, CountWhatIsNotProtected) {
  Families families;
  VmsView view;
  view.vms = {{.name = "we\"b\n", .pid = 9, .vcpus = {{.vcpu = 0}, {.vcpu = 1}}},
              {.name = "db", .pid = 10, .vcpus = {{.vcpu = 0}}}};
  view.vms[0].vcpus[1].unprotected = "it is real-time";
  view.vms[1].vcpus[0].refused = "nothing is free";
  view.conflicts = {"a", "b"};
  AddVms(view, families);
  const std::string text = Text(families);
  EXPECT_EQ(ValueOf(text, "corral_vm_vcpus{vm=\"we\\\"b\\n\",pid=\"9\"}"), 2) << text;
  EXPECT_EQ(ValueOf(text, "corral_vm_vcpus_unprotected{vm=\"we\\\"b\\n\",pid=\"9\"}"), 1);
  EXPECT_EQ(ValueOf(text, "corral_vm_vcpus_unprotected{vm=\"db\",pid=\"10\"}"), 0);
  EXPECT_EQ(ValueOf(text, "corral_vm_vcpus_refused{vm=\"db\",pid=\"10\"}"), 1);
  EXPECT_EQ(ValueOf(text, "corral_pin_conflicts"), 2);
  ExpectPromtoolIsContent(text);
}

TEST(ClassMetricsWithoutTheClass, SaySo) {
  const std::string text = Text(ClassFamilies(nullptr, TrustRules()));
  EXPECT_EQ(ValueOf(text, "corral_class_in_charge"), 0) << text;
  ExpectPromtoolIsContent(text);
}

}  // namespace
}  // namespace corral::metrics
