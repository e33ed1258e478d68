// SPDX-License-Identifier: Apache-2.0
// After another class has taken over, on a simulated machine: what it was told, the class itself
// and agents that come at some time later let every VM run on, with no pause that its turn does not
// explain, whatever was under way.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "agent/class/class_state.h"
#include "agent/simulate/agent_process.h"
#include "kernel/sim/random.h"
#include "kernel/sim/sim_kernel.h"

namespace corral {
namespace {

using nlohmann::json;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr int kSchedExt = 7;
constexpr int kVms = 3;
constexpr int kVcpus = 2;
// Three VMs take turns of 10 ms (secure_vm's tenure) on two cores, of which the host takes half.
constexpr Duration kLongestPause = milliseconds(250);

// Computes; one that is not busy sleeps in between.
class Guest final : public sim::Program {
 public:
  Guest(uint64_t seed, bool busy) : random_(seed), busy_(busy) {}
  sim::Step Next(sim::SimThread&, Time) override {
    asleep_ = !busy_ && !asleep_;
    const Duration time = microseconds(100 + random_.Below(5000));
    return asleep_ ? sim::Step::Sleep(time) : sim::Step::Run(time);
  }

 private:
  sim::Random random_;
  const bool busy_;
  bool asleep_ = false;
};

// One class's time on the machine; the next one's machine has the same VMs.
class Host {
 public:
  explicit Host(uint64_t seed) : random_(seed) {
    topology_ = Topology::FromHwlocSynthetic("core:2 pu:2").value();
    sim::Machine::Spec spec;
    for (int core = 0; core < topology_.nr_cores(); ++core)
      spec.cores.push_back({.cpus = topology_.core(core).siblings.ToVector()});
    machine_ = sim::Machine::Create(spec).value();
    control_ = sim::SimControlKernel::Create(*machine_).value();
    for (int i = 0; i < kVms * kVcpus; ++i)
      threads_.push_back(
          &machine_->NewThread("vcpu", std::make_unique<Guest>(seed + i, i % 3 < 2)));
  }

  void AttachVms() {
    const EnclaveId enclave =
        control_->CreateEnclave({.name = "vms", .cpus = *CpuSet::Parse("0-3")}).value();
    for (int i = 0; i < kVms * kVcpus; ++i) {
      const DomainKey key = {static_cast<uint8_t>(1 + i / kVcpus)};
      const DomainId domain = control_->CreateDomain(enclave, key, "vm").value();
      const Gtid task = control_->AttachTask(threads_[i]->tid(), domain, i % kVcpus, 100).value();
      if (i < kVcpus) {
        ASSERT_TRUE(
            control_->UpdateTask(task, {.budget = milliseconds(2), .period = milliseconds(10)})
                .ok());
      }
    }
  }
  std::vector<std::string> Restore(const json& state) {
    for (sim::SimThread* const thread : threads_) machine_->SetPolicy(*thread, kSchedExt);
    return RestoreClass(*control_, state);
  }
  // One after the other, while the host has something to do as well, on each CPU.
  void WakeVms() {
    for (const CpuId cpu : topology_.cpus().ToVector()) {
      sim::SimThread& busy =
          machine_->NewThread("host", std::make_unique<Guest>(random_.Next(), /*busy=*/false));
      machine_->SetAffinity(busy, CpuSet({cpu.value()}));
      machine_->Wake(busy);
    }
    for (sim::SimThread* const thread : threads_) {
      machine_->Wake(*thread);
      machine_->RunFor(microseconds(random_.Below(1000)));
    }
  }
  void StartAgent() {
    const PolicyInfo* const policy = FindPolicy("secure_vm").value();
    agent_ =
        AgentProcess::Start(*machine_, *control_, topology_,
                            {.enclave = EnclaveId(1),
                             .enclave_name = "vms",
                             .policy = policy,
                             .options = OptionValues::Defaults(policy->options),
                             .message_delay = [this] { return microseconds(random_.Below(2000)); }})
            .value();
  }
  bool Served() const { return agent_ != nullptr && agent_->serving(); }

  // Returns for how long the VM that waited longest got nothing.
  Duration WatchFor(Duration time) {
    Duration worst{0};
    for (const Time end = machine_->now() + time; machine_->now() < end;) {
      machine_->RunFor(milliseconds(1));
      for (int vm = 0; vm < kVms; ++vm) {
        Duration ran{0};
        for (int i = 0; i < kVcpus; ++i) ran += machine_->CpuTime(*threads_[vm * kVcpus + i]);
        Progress& progress = progress_[vm];
        if (ran != progress.ran) progress = {ran, machine_->now()};
        worst = std::max(worst, machine_->now() - progress.at);
      }
    }
    return worst;
  }
  uint64_t Rescues() const {
    uint64_t rescues = 0;
    for (const ghost_core_state& core : control_->cores()) rescues += core.rescues;
    return rescues;
  }
  const ControlKernel& control() const { return *control_; }

 private:
  struct Progress {
    Duration ran{0};
    Time at{};
  };

  sim::Random random_;
  Topology topology_;
  std::unique_ptr<sim::Machine> machine_;
  std::unique_ptr<sim::SimControlKernel> control_;
  std::vector<sim::SimThread*> threads_;
  std::unique_ptr<AgentProcess> agent_;
  Progress progress_[kVms];
};

// CORRAL_SEEDS: how many; 200 unless said otherwise.
TEST(Successor, NoVmStandsStillAfterAnotherClassHasTakenOver) {
  const char* const said = getenv("CORRAL_SEEDS");
  const uint64_t seeds = said == nullptr ? 200 : std::stoull(said);
  Duration worst{0};
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    sim::Random random(seed);
    Host former(seed);
    ASSERT_NO_FATAL_FAILURE(former.AttachVms());
    former.StartAgent();
    former.WakeVms();
    former.WatchFor(milliseconds(100) + microseconds(random.Below(20000)));
    ASSERT_TRUE(former.Served());

    Host later(seed + 1000);
    ASSERT_EQ(later.Restore(CaptureClass(former.control())), std::vector<std::string>());
    later.WakeVms();
    const uint64_t rescues = later.Rescues();
    Duration pause = later.WatchFor(microseconds(random.Below(100000)));
    later.StartAgent();
    pause = std::max(pause, later.WatchFor(milliseconds(1000)));
    ASSERT_TRUE(later.Served());
    EXPECT_LE(pause, kLongestPause) << "seed " << seed;
    EXPECT_EQ(later.Rescues(), rescues) << "seed " << seed;
    worst = std::max(worst, pause);
  }
  printf("%llu seeds; the longest pause of a VM was %.1f ms\n",
         static_cast<unsigned long long>(seeds), worst.count() / 1e6);
}

}  // namespace
}  // namespace corral
