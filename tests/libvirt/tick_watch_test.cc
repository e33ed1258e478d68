// SPDX-License-Identifier: Apache-2.0
// What corrald tells of an enclave that shall be tickless, on a simulated machine whose CPUs tick
// while they have a thread.
#include "agent/daemon/tick_watch.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <regex>

#include "kernel/sim/sim_kernel.h"

namespace corral {
namespace {

using sim::Machine;

class Spin final : public sim::Program {
 public:
  explicit Spin(const bool& over) : over_(over) {}
  sim::Step Next(sim::SimThread&, Time) override {
    return over_ ? sim::Step::Exit() : sim::Step::Run(std::chrono::milliseconds(1));
  }

 private:
  const bool& over_;
};

TEST(TickWatch, TellsTheAnswerOnceAndWhenItChanges) {
  Machine::Spec spec;
  spec.cores = {{.cpus = {CpuId(0), CpuId(1)}}, {.cpus = {CpuId(2), CpuId(3)}}};
  const std::unique_ptr<Machine> machine = Machine::Create(spec).value();
  const auto control = sim::SimControlKernel::Create(*machine).value();
  const EnclaveId enclave = control->CreateEnclave({.name = "vms", .cpus = {0, 1, 2, 3}}).value();
  TickWatch watch(*control, "vms", {0, 1, 2, 3});
  const auto look = [&] {
    machine->RunFor(TickWatch::kWindow);
    return watch.Look(control->Now());
  };
  EXPECT_EQ(watch.Look(control->Now()), "");
  machine->RunFor(TickWatch::kWindow / 2);
  EXPECT_EQ(watch.Look(control->Now()), "") << "half a window";
  EXPECT_EQ(look().find("enclave vms is tickless: at most 0.0 timer ticks"), 0u);
  EXPECT_EQ(look(), "");

  bool over = false;
  sim::SimThread& thread = machine->NewThread("spin", std::make_unique<Spin>(over));
  machine->SetAffinity(thread, {2});
  const DomainId domain = control->CreateDomain(enclave, DomainKey{1}, "web").value();
  ASSERT_TRUE(control->AttachTask(thread.tid(), domain, 0, 100).ok());
  machine->Wake(thread);
  const std::string told = look();
  std::smatch parts;
  ASSERT_TRUE(std::regex_search(
      told, parts, std::regex("enclave vms is not tickless: ([0-9.]+) timer ticks.* on CPU 2;")))
      << told;
  const double rate = static_cast<double>(std::chrono::seconds(1) / spec.costs.tick);
  EXPECT_NEAR(atof(parts.str(1).c_str()), rate, rate / 50);
  EXPECT_EQ(look(), "");

  over = true;
  EXPECT_EQ(look().find("enclave vms is tickless"), 0u);
}

}  // namespace
}  // namespace corral
