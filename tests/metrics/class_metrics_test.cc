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
