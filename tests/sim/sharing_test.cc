// SPDX-License-Identifier: Apache-2.0
// Cores that share what is runnable at the moment (secure_vm's option `sharing`): what idle time it
// saves, what a wake-up then waits for, and that memory stays near as long as there is room.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "agent/simulate/simulation.h"

namespace corral {
namespace {

using std::chrono::milliseconds;

Scenario Of(const std::string& text) { return ParseScenario(text, "sharing").value(); }

std::unique_ptr<Simulation> Make(const std::string& text) {
  return Simulation::Create(Of(text), sim::Costs()).value();
}

// The part of the CPUs' time in which neither a vCPU nor an agent ran.
double IdlePart(const std::string& text) {
  const SimulationResult result = Make(text)->Run();
  EXPECT_EQ(result.shared, Duration(0));
  Duration ran = result.agent_time;
  for (const SimulatedDomain& domain : result.domains) ran += domain.cpu_time;
  return 1 - static_cast<double>(ran.count()) /
                 static_cast<double>(result.time.count() * result.nr_cpus);
}

// One VM of three times as many vCPUs as CPUs, which compute for some 5 to 30 us and sleep for as
// long: there is enough to do for all CPUs, if it comes to them in time.
TEST(Sharing, HalvesTheIdleTimeBesideShortComputations) {
  const auto idle = [](const char* sharing) {
    return IdlePart(absl::StrFormat(
        "{version: 1, topology: 'numa:1 core:8 pu:1', time: 500ms, policy: secure_vm,"
        " options: {sharing: '%s'},"
        " domains: [{name: vm, vcpus: 24, load: {run: 15us, sleep: 15us}}]}",
        sharing));
  };
  const double off = idle("off"), core = idle("core"), machine = idle("machine");
  printf("idle: %.1f %% without, %.1f %% with the core's own, %.1f %% with all\n", off * 100,
         core * 100, machine * 100);
  EXPECT_LE(machine, off / 2);
}

// Mostly idle VMs: whoever wakes up finds his core idle, and no agent has to wake up first.
TEST(Sharing, AWakeUpOnAnIdleMachineWaitsForNoAgent) {
  const auto p50 = [](const char* sharing) {
    const SimulationResult result =
        Make(absl::StrFormat(
                 "{version: 1, topology: 'numa:1 core:8 pu:2', time: 1s, policy: secure_vm,"
                 " options: {sharing: '%s'},"
                 " domains: [{name: vm, count: 8, vcpus: 2, load: {run: 50us, sleep: 2ms}}]}",
                 sharing))
            ->Run();
    Duration worst{0};
    for (const SimulatedDomain& domain : result.domains) worst = std::max(worst, domain.waits.p50);
    return static_cast<double>(worst.count()) / 1e3;
  };
  const double off = p50("off"), core = p50("core");
  printf("wait p50: %.2f us without, %.2f us with the core's own\n", off, core);
  EXPECT_LE(core, off / 2);
}

// Where VMs ran: near their memory, which is on node 0, or far from it.
class Nodes final : public sim::SwitchObserver {
 public:
  // Of the VMs up to `last`, as SimThread::vm has it; node 0 has so many CPUs.
  Nodes(uint32_t last, int cpus) : last_(last), cpus_(cpus) {}
  void Switched(Time now, int cpu, const sim::SimThread* from, const sim::SimThread* to) override {
    if (Counts(from) && since_.contains(cpu)) Add(cpu, now);
    since_.erase(cpu);
    if (Counts(to)) since_[cpu] = now;
  }
  // Brings it up to `now`.
  void Settle(Time now) {
    for (auto& [cpu, since] : since_) {
      Add(cpu, now);
      since = now;
    }
  }
  double far_percent() const {
    return 100 * static_cast<double>(far_.count()) / static_cast<double>((near_ + far_).count());
  }
  void Reset() { near_ = far_ = Duration(0); }

 private:
  void Add(int cpu, Time now) { (cpu < cpus_ ? near_ : far_) += now - since_[cpu]; }
  bool Counts(const sim::SimThread* thread) const {
    return thread != nullptr && thread->vm >= 1 && thread->vm <= last_;
  }

  const uint32_t last_;
  const int cpus_;
  std::map<int, Time> since_;
  Duration near_{0}, far_{0};
};

constexpr char kNodes[] =
    "{version: 1, topology: 'numa:2 core:4 pu:2', time: 1s, policy: secure_vm,"
    " domains: [{name: vm, count: %d, vcpus: %d, memory_node: 0, load: %s}]}";

TEST(Sharing, WithRoomAtHomeNextToNothingRunsFarFromIt) {
  const std::unique_ptr<Simulation> simulation =
      Make(absl::StrFormat(kNodes, 4, 2, "{run: 500us, sleep: 500us}"));
  Nodes nodes(4, 8);
  simulation->Observe(&nodes);
  simulation->Run();
  printf("%.3f %% far from its memory\n", nodes.far_percent());
  EXPECT_LT(nodes.far_percent(), 1);
}

// Eight VMs on four cores, beside a node that idles; then half of them go to one core over there.
TEST(Sharing, UnderLoadTheOtherNodeIsUsedAndGivenBack) {
  const std::unique_ptr<Simulation> simulation = Make(absl::StrFormat(kNodes, 8, 1, "spin"));
  Nodes all(8, 8), nodes(4, 8);
  simulation->Observe(&all);
  simulation->Observe(&nodes);
  simulation->Advance(milliseconds(500));
  all.Settle(simulation->machine().now());
  printf("under load %.1f %% far from its memory", all.far_percent());
  EXPECT_GT(all.far_percent(), 45);
  for (size_t vm = 4; vm < 8; ++vm) simulation->Pin(vm, 0, CpuSet{14, 15});
  simulation->Advance(milliseconds(100));
  nodes.Settle(simulation->machine().now());
  nodes.Reset();
  simulation->Advance(milliseconds(300));
  nodes.Settle(simulation->machine().now());
  printf(", and %.1f %% from 100 ms after it on\n", nodes.far_percent());
  EXPECT_LT(nodes.far_percent(), 1);
}

}  // namespace
}  // namespace corral
