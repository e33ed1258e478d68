// SPDX-License-Identifier: Apache-2.0
// A guest that sleeps across each tick gets no more than its share: time is accounted for at
// switches, where nobody can be absent (Tsafrir 2007 shows what sampling at ticks gives away).
#include <gtest/gtest.h>

#include <cstring>

#include "agent/simulate/agent_process.h"
#include "kernel/sim/sim_kernel.h"

namespace corral {
namespace {

using sim::Machine;
using sim::SimThread;
using sim::Step;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Computes from shortly after a tick of its CPU until shortly before the next.
class Dodger final : public sim::Program {
 public:
  Dodger(Duration tick, Duration margin) : tick_(tick), margin_(margin) {}
  Step Next(SimThread&, Time now) override {
    const Duration left = tick_ - now.time_since_epoch() % tick_;
    return left > margin_ ? Step::Run(left - margin_) : Step::Sleep(left + margin_);
  }

 private:
  const Duration tick_, margin_;
};

class Spinner final : public sim::Program {
  Step Next(SimThread&, Time) override { return Step::Run(milliseconds(1)); }
};

// One core; each thread is a VM of its own, of the same weight.
class Contest {
 public:
  explicit Contest(int siblings) {
    Machine::Spec spec;
    Core core{.id = CoreId(0), .nr_cpus = siblings};
    spec.cores.emplace_back();
    for (int i = 0; i < siblings; ++i) {
      spec.cores[0].cpus.push_back(CpuId(i));
      core.cpu[i] = CpuId(i);
      core.siblings.Insert(CpuId(i));
    }
    machine_ = Machine::Create(spec).value();
    control_ = sim::SimControlKernel::Create(*machine_).value();
    enclave_ = control_->CreateEnclave({.name = "vms", .cpus = core.siblings}).value();
    const PolicyInfo* const policy = FindPolicy("secure_vm").value();
    agent_ = AgentProcess::Start(*machine_, *control_, Topology::FromCores({core}),
                                 {.enclave = enclave_,
                                  .enclave_name = "vms",
                                  .policy = policy,
                                  .options = OptionValues::Defaults(policy->options)})
                 .value();
  }
  SimThread& Add(std::unique_ptr<sim::Program> program) {
    SimThread& thread = machine_->NewThread("vm", std::move(program));
    const uint32_t id = ++vms_;
    DomainKey key = {};
    memcpy(key.data(), &id, sizeof(id));
    const DomainId domain = control_->CreateDomain(enclave_, key, "vm").value();
    EXPECT_TRUE(control_->AttachTask(thread.tid(), domain, 0, 100).ok());
    machine_->Wake(thread);
    return thread;
  }
  Machine& machine() { return *machine_; }

 private:
  std::unique_ptr<Machine> machine_;
  std::unique_ptr<sim::SimControlKernel> control_;
  EnclaveId enclave_;
  std::unique_ptr<AgentProcess> agent_;
  uint32_t vms_ = 0;
};

TEST(Dodger, GetsAtMostItsShare) {
  for (const int siblings : {1, 2}) {
    for (const Duration margin : {Duration(microseconds(20)), Duration(microseconds(300))}) {
      for (const int spinners : {1, 3}) {
        Contest contest(siblings);
        const Duration tick = contest.machine().spec().costs.tick;
        SimThread& dodger = contest.Add(std::make_unique<Dodger>(tick, margin));
        for (int i = 0; i < spinners; ++i) contest.Add(std::make_unique<Spinner>());
        contest.machine().RunFor(milliseconds(500));
        const Duration before = contest.machine().CpuTime(dodger);
        contest.machine().RunFor(seconds(10));
        const double share =
            std::chrono::duration<double>(contest.machine().CpuTime(dodger) - before).count() / 10;
        printf("%d siblings, %lld us off each tick, %d spinning VMs beside it: %.4f of the core\n",
               siblings, static_cast<long long>(margin / microseconds(1)), spinners, share);
        EXPECT_LE(share, 1.0 / (spinners + 1) + 0.01);
        EXPECT_GT(share, 0.2 / (spinners + 1)) << "it does not dodge, it just has nothing";
      }
    }
  }
}

}  // namespace
}  // namespace corral
