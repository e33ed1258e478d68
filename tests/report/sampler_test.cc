// SPDX-License-Identifier: Apache-2.0
// Samples of a simulated class: what they say is what the machine did.
#include "agent/report/sampler.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/ctl/simulate_output.h"
#include "agent/ctl/simulate_report.h"
#include "agent/report/page.h"
#include "agent/simulate/scenario.h"
#include "tests/sim/bare_vms.h"

namespace corral::report {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Uses its CPU for 8 of each 10 ms, before any VM.
class Greedy final : public sim::Program {
  sim::Step Next(sim::SimThread&, Time) override {
    runs_ = !runs_;
    return runs_ ? sim::Step::Run(milliseconds(8)) : sim::Step::Sleep(milliseconds(2));
  }
  bool runs_ = false;
};

// As corrald does it.
Sample After(BareVms& vms, Sampler& sampler, Duration time) {
  for (Duration passed{0}; passed < time; passed += milliseconds(500)) {
    vms.machine().RunFor(milliseconds(500));
    sampler.Look();
  }
  return sampler.Take();
}

const DomainSample& Find(const Sample& sample, const std::string& name) {
  for (const DomainSample& domain : sample.domains) {
    if (domain.name == name) return domain;
  }
  ADD_FAILURE() << "no " << name;
  return sample.domains.front();
}

// Two VMs of one vCPU on one core of two siblings: each runs half of the time and waits beside an
// idle sibling in the other half.
TEST(SamplerTest, SeesUseAndForcedIdle) {
  BareVms vms(1, 2);
  vms.AddVm<Spinner>(1, "red");
  vms.AddVm<Spinner>(1, "blue");
  vms.machine().RunFor(seconds(3));
  Sampler sampler(vms.control());
  const Sample sample = After(vms, sampler, seconds(10));
  EXPECT_EQ(sample.window, seconds(10));
  EXPECT_TRUE(sample.in_charge);
  ASSERT_EQ(sample.domains.size(), 2u);
  for (const DomainSample& domain : sample.domains) {
    EXPECT_NEAR(domain.used, 0.5, 0.01);
    EXPECT_NEAR(domain.waited[GHOST_WAIT_FORCED_IDLE], 0.5, 0.02);
    EXPECT_EQ(domain.vcpus, 1u);
    EXPECT_EQ(domain.cores, 1u);
    EXPECT_EQ(domain.missed, 0);
    EXPECT_EQ(domain.unprotected, 0u);
    // 5 s of waits, a tenure of 10 ms each, and the other one comes after it at once.
    EXPECT_NEAR(domain.waits[ghost_wait_bucket(10'500'000)], 500, 30);
  }
  ASSERT_EQ(sample.cores.size(), 1u);
  EXPECT_NEAR(sample.cores[0].forced_idle, 1, 0.04);
  EXPECT_TRUE(sample.cores[0].agent);
  EXPECT_GT(sample.cores[0].switches, 100u);
  EXPECT_EQ(sample.cores[0].breaches, 0u);
  // The next stretch begins where this one ended.
  EXPECT_NEAR(After(vms, sampler, seconds(4)).domains[0].used, 0.5, 0.02);
}

TEST(SamplerTest, SeesABudgetThatIsKeptAndOneThatIsMissed) {
  BareVms vms(1, 2);
  const BareVms::Vcpu vcpu = vms.AddVm<Spinner>(1, "promised").front();
  vms.AddVm<Spinner>(1, "other");
  const TaskAttributes wanted = {.budget = milliseconds(5), .period = milliseconds(10)};
  ASSERT_TRUE(vms.control().UpdateTask(vcpu.task, wanted).ok());
  vms.machine().RunFor(seconds(2));
  Sampler sampler(vms.control());
  Sample sample = After(vms, sampler, seconds(10));
  EXPECT_NEAR(Find(sample, "promised").guaranteed, 0.5, 0.001);
  EXPECT_GT(Find(sample, "promised").used, 0.49);
  EXPECT_EQ(Find(sample, "promised").missed, 0);
  // The host takes more of both siblings than is left.
  for (const int cpu : {0, 1}) vms.AddHostThread(cpu, std::make_unique<Greedy>());
  After(vms, sampler, seconds(2));
  sample = After(vms, sampler, seconds(10));
  const DomainSample& missing = Find(sample, "promised");
  EXPECT_NEAR(missing.guaranteed, 0.5, 0.001);
  EXPECT_LT(missing.used, 0.35);
  EXPECT_NEAR(missing.missed, missing.guaranteed - missing.used, 0.1);
  EXPECT_EQ(Find(sample, "other").missed, 0);
}

TEST(SamplerTest, SeesWhereMemoryIs) {
  BareVms vms(2, 2);
  const BareVms::Vcpu near = vms.AddVm<Spinner>(1, "near").front();
  const BareVms::Vcpu far = vms.AddVm<Spinner>(1, "far").front();
  ASSERT_TRUE(vms.control().UpdateTask(near.task, {.node = 0}).ok());
  ASSERT_TRUE(vms.control().UpdateTask(far.task, {.node = 3}).ok());
  Sampler sampler(vms.control());
  const Sample sample = After(vms, sampler, seconds(5));
  EXPECT_NEAR(Find(sample, "near").local, Find(sample, "near").used, 1e-9);
  EXPECT_NEAR(Find(sample, "far").remote, Find(sample, "far").used, 1e-9);
  EXPECT_GT(Find(sample, "far").used, 0.9);
  EXPECT_EQ(Find(sample, "far").local, 0);
}

TEST(SamplerTest, SeesWhoIsNotProtectedAndWhatIsRefused) {
  BareVms vms(1, 2, /*foreign=*/1);
  const BareVms::Vcpu outside = vms.AddVm<Spinner>(1, "outside").front();
  const BareVms::Vcpu greedy = vms.AddVm<Spinner>(1, "greedy").front();
  vms.machine().SetAffinity(*outside.thread, CpuSet({2}));
  const TaskAttributes all = {.budget = milliseconds(10), .period = milliseconds(10)};
  ASSERT_TRUE(vms.control().UpdateTask(greedy.task, all).ok());
  Sampler sampler(vms.control());
  const Sample sample = After(vms, sampler, seconds(3));
  EXPECT_EQ(Find(sample, "outside").unprotected, 1u);
  EXPECT_EQ(Find(sample, "greedy").unprotected, 0u);
  EXPECT_EQ(Find(sample, "greedy").refused, 1u);
  EXPECT_EQ(Find(sample, "greedy").guaranteed, 0);
}

constexpr char kScenario[] =
    "version: 1\n"
    "topology: \"numa:2 core:2 pu:2\"\n"
    "time: 2s\n"
    "domains:\n"
    "  - {name: promised, vcpus: 2, memory_node: 0, budget: 4ms, period: 10ms, load: spin}\n"
    "  - {name: greedy, vcpus: 4, budget: 10ms, period: 10ms, load: spin}\n"
    "  - {name: sleepy, count: 3, vcpus: 2, load: {run: 1ms, sleep: 9ms}}\n";

std::unique_ptr<Simulation> Made() {
  const absl::StatusOr<Scenario> scenario = ParseScenario(kScenario, "s.yaml");
  EXPECT_TRUE(scenario.ok()) << scenario.status();
  return Simulation::Create(*scenario, sim::Costs()).value();
}

TEST(SimulationReportTest, SaysWhatTheResultSays) {
  const std::unique_ptr<Simulation> simulation = Made();
  const std::vector<Sample> samples = ctl::SampleRun(*simulation, seconds(2));
  EXPECT_EQ(samples.size(), kMostSlices);
  const SimulationResult result = simulation->Run();
  const absl::StatusOr<Summary> summary = Summarize(samples);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_NEAR(summary->seconds, 2, 1e-9);
  EXPECT_EQ(summary->nr_cpus, 8u);
  EXPECT_EQ(summary->nr_nodes, 2u);
  for (const SimulatedDomain& domain : result.domains) {
    for (const DomainSummary& d : summary->domains) {
      if (d.name != domain.name) continue;
      // It may have run before the first sample began.
      EXPECT_NEAR(d.used_s, std::chrono::duration<double>(domain.cpu_time).count(), 0.01) << d.name;
    }
  }
  EXPECT_GT(summary->forced_idle_s, 0.1);
  EXPECT_EQ(summary->breaches, 0u);
  ASSERT_TRUE(summary->audit.has_value());
  EXPECT_EQ(summary->audit->enforced_s, 0);
  EXPECT_NEAR(summary->audit->forced_idle_s,
              std::chrono::duration<double>(result.forced_idle).count(), 0.01);
  const absl::StatusOr<std::string> page = ctl::SimulationReport(samples, "s.yaml");
  ASSERT_TRUE(page.ok()) << page.status();
  for (const char* what : {"promised", "greedy", "sleepy-3", "Simulated, not measured", "refused",
                           "beside an idle sibling"})
    EXPECT_TRUE(absl::StrContains(*page, what)) << what;
}

// Looking changes nothing: neither the samples nor that agents tell waits more often.
TEST(SimulationReportTest, DisturbsNothing) {
  const std::unique_ptr<Simulation> looked_at = Made(), alone = Made();
  (void)ctl::SampleRun(*looked_at, seconds(2));
  EXPECT_EQ(ctl::SimulationJson(looked_at->Run()), ctl::SimulationJson(alone->Run()));
}

}  // namespace
}  // namespace corral::report
