// SPDX-License-Identifier: Apache-2.0
// Spin locks in VMs that do not always have their CPUs: what directed yield and co-running are
// worth to them, and that neither takes anything from other VMs.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "agent/simulate/simulation.h"
#include "kernel/sim/random.h"
#include "tests/sim/bare_vms.h"

namespace corral {
namespace {

using sim::SimThread;
using sim::Step;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// How often the lock was had in two seconds, for the mean of three seeds.
struct Progress {
  uint64_t with_neither = 0;
  uint64_t co_running = 0;
  uint64_t directed_yield = 0;
  uint64_t with_both = 0;
};

uint64_t Sections(int vcpus, int costs, bool directed_yield, bool co_running) {
  constexpr int kSeeds = 3;
  uint64_t sections = 0;
  for (int seed = 1; seed <= kSeeds; ++seed) {
    const std::string text = absl::StrFormat(
        "{version: 1, topology: 'numa:1 core:4 pu:2', time: 2s, seed: %d, policy: secure_vm,"
        " options: {co_running: %s},"
        " domains: [{name: lock, vcpus: %d,"
        "            load: {compute: 100us, hold: 10us, directed_yield: %s}},"
        "           {name: other, count: 4, vcpus: 3, load: {run: 20ms, sleep: 5ms}}]}",
        seed, co_running ? "true" : "false", vcpus, directed_yield ? "true" : "false");
    const SimulationResult result =
        Simulation::Create(ParseScenario(text, "lock").value(), sim::Scaled(sim::Costs(), costs))
            .value()
            ->Run();
    EXPECT_EQ(result.shared, Duration(0));
    sections += result.domains[0].requests.count;
  }
  return sections / kSeeds;
}

// With costs of so many percent of the usual ones.
Progress Measure(int vcpus, int costs) {
  const Progress p = {.with_neither = Sections(vcpus, costs, false, false),
                      .co_running = Sections(vcpus, costs, false, true),
                      .directed_yield = Sections(vcpus, costs, true, false),
                      .with_both = Sections(vcpus, costs, true, true)};
  printf(
      "%2d vCPUs, costs %3d %%: the lock was had %llu times with neither, %llu with co-running, "
      "%llu with directed yield, %llu with both\n",
      vcpus, costs, static_cast<unsigned long long>(p.with_neither),
      static_cast<unsigned long long>(p.co_running),
      static_cast<unsigned long long>(p.directed_yield),
      static_cast<unsigned long long>(p.with_both));
  return p;
}

// A VM that could have a CPU for each vCPU, on a host with more than twice as many vCPUs as CPUs:
// its turns on the four cores decide whether who is next for the lock can run.
TEST(SpinLock, OnAFullHostBothHelpAndBothTogetherHelpMost) {
  for (const int costs : {50, 100, 150}) {
    const Progress p = Measure(6, costs);
    EXPECT_GT(p.co_running, p.with_neither * 3 / 2);
    EXPECT_GT(p.directed_yield, p.with_neither * 2);
    EXPECT_GT(p.with_both, p.co_running);
    EXPECT_GT(p.with_both, p.directed_yield);
  }
}

// One with twice as many vCPUs as there are CPUs, whatever turns it has: half of those that want
// the lock cannot run, and the lock goes to them in the order in which they came.
TEST(SpinLock, WithTooManyVcpusDirectedYieldIsWhatHelps) {
  for (const int costs : {50, 100, 150}) {
    const Progress p = Measure(16, costs);
    EXPECT_GT(p.directed_yield, p.with_neither * 20);
    EXPECT_GT(p.with_both, p.with_neither * 20);
  }
}

// Yields all the time, to any vCPU of its VM.
class Yielder final : public sim::Program {
 public:
  using Vm = std::vector<SimThread*>;
  Yielder(sim::Machine* machine, const Vm* vm) : machine_(*machine), vm_(*vm) {}
  Step Next(SimThread& self, Time) override {
    if (!vm_.empty()) {
      SimThread& other = *vm_[random_.Below(vm_.size())];
      if (&other != &self) machine_.YieldTo(self, other);
    }
    return Step::Run(microseconds(5));
  }

 private:
  sim::Machine& machine_;
  const Vm& vm_;
  sim::Random random_{1};
};

// The others' CPU time beside a VM of `vcpus` vCPUs that yield, or just compute.
Duration OthersTime(int vcpus, bool yield) {
  BareVms vms(/*cores=*/3, /*siblings=*/2);
  Yielder::Vm threads;
  std::vector<BareVms::Vcpu> vm;
  if (yield) {
    vm = vms.AddVm<Yielder>(vcpus, "yields", &vms.machine(), &threads);
  } else {
    vms.AddVm<Spinner>(vcpus, "computes");
  }
  for (const BareVms::Vcpu& vcpu : vm) threads.push_back(vcpu.thread);
  std::vector<BareVms::Vcpu> others;
  for (int i = 0; i < 5; ++i) {
    vms.machine().RunFor(milliseconds(3));  // so that cores do not have their turns in step
    for (const BareVms::Vcpu& vcpu : vms.AddVm<Spinner>(2, "other")) others.push_back(vcpu);
  }
  vms.machine().RunFor(seconds(2));
  Duration time{0};
  for (const BareVms::Vcpu& vcpu : others) time += vms.Ran(vcpu);
  return time;
}

// What a vCPU gives away it gives away of its own VM's time: also where guests from other cores
// have it, who are not accounted for where they are.
TEST(DirectedYield, TakesNothingFromOtherVms) {
  for (const int vcpus : {3, 6, 8, 12}) {
    const double without = static_cast<double>(OthersTime(vcpus, false).count());
    const double with = static_cast<double>(OthersTime(vcpus, true).count());
    printf("%2d vCPUs that yield all the time leave the others %.4f of their time\n", vcpus,
           with / without);
    // The rest goes to agents, which hear of each guest that yields, also while its core is
    // others'.
    EXPECT_GT(with / without, 0.98);
  }
}

}  // namespace
}  // namespace corral
