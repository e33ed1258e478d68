// SPDX-License-Identifier: Apache-2.0
// A CPU goes while VMs want all of them, with the host's threads in the class: the kernel waits for
// its RCU thread, which may be waiting for the very core that is closed for that.
#include <gtest/gtest.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "kernel/sim/core_audit.h"
#include "kernel/sim/sim_kernel.h"

namespace corral {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

class Computes final : public sim::Program {
  sim::Step Next(sim::SimThread&, Time) override { return sim::Step::Run(milliseconds(1)); }
};

class Hotplug : public ::testing::Test {
 protected:
  Hotplug() {
    sim::Machine::Spec spec;
    spec.cores.resize(2);
    for (int i = 0; i < 4; ++i) spec.cores[i / 2].cpus.push_back(CpuId(i));
    spec.whole_host = true;
    machine_ = sim::Machine::Create(spec).value();
    audit_ = std::make_unique<sim::CoreAudit>(*machine_);
    machine_->Observe(audit_.get());
    control_ = sim::SimControlKernel::Create(*machine_).value();
    const CpuSet all{0, 1, 2, 3};
    const EnclaveId enclave = control_->CreateEnclave({.name = "vms", .cpus = all}).value();
    for (uint32_t vm = 1; vm <= 3; ++vm) {
      DomainKey key = {};
      key[0] = static_cast<uint8_t>(vm);
      const DomainId domain = control_->CreateDomain(enclave, key, absl::StrCat("vm", vm)).value();
      for (int i = 0; i < 3; ++i) {
        sim::SimThread& thread = machine_->NewThread("vcpu", std::make_unique<Computes>());
        thread.vm = vm;
        machine_->Wake(thread);
        EXPECT_TRUE(control_->AttachTask(thread.tid(), domain, i, 100).ok());
      }
    }
  }
  // Also each of the host's threads waits for a core that a VM has.
  void AddHogsOfTheHost(int nr) {
    for (int i = 0; i < nr; ++i)
      machine_->Wake(machine_->NewThread("hog", std::make_unique<Computes>()));
  }
  // How long the CPU takes to go; 10 s where it does not.
  Duration TakeDown(CpuId cpu) {
    const Time begin = machine_->now();
    machine_->SetOnline(cpu, false);
    while (machine_->Online(cpu) && machine_->now() < begin + std::chrono::seconds(10))
      machine_->RunFor(milliseconds(1));
    return machine_->now() - begin;
  }
  void BringUp(CpuId cpu) {
    machine_->SetOnline(cpu, true);
    machine_->RunFor(milliseconds(20));
  }

  std::unique_ptr<sim::Machine> machine_;
  std::unique_ptr<sim::CoreAudit> audit_;
  std::unique_ptr<sim::SimControlKernel> control_;
};

TEST_F(Hotplug, ACpuGoesWhateverWaitsForItsCore) {
  AddHogsOfTheHost(3);
  machine_->RunFor(milliseconds(50));
  Duration longest{0};
  for (int round = 0; round < 200; ++round) {
    machine_->RunFor(microseconds(137 * round));
    const CpuId cpu(round % 4);
    const Duration took = TakeDown(cpu);
    longest = std::max(longest, took);
    ASSERT_LT(took, std::chrono::seconds(1)) << "round " << round;
    BringUp(cpu);
  }
  printf("a CPU took %lld us at most to go\n", static_cast<long long>(longest.count() / 1000));
  EXPECT_EQ(audit_->enforced().times, 0u) << audit_->enforced().first;
}

}  // namespace
}  // namespace corral
