// SPDX-License-Identifier: Apache-2.0
// What one class knows, told to another: the class itself, twice, on simulated machines.
#include "agent/class/class_state.h"

#include <gtest/gtest.h>

#include <memory>

#include "kernel/sim/sim_kernel.h"

namespace corral {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr int kSchedExt = 7;
constexpr int kSchedBatch = 3;

class Spinner final : public sim::Program {
  sim::Step Next(sim::SimThread&, Time) override { return sim::Step::Run(milliseconds(1)); }
};

// Two cores of two siblings, and five threads that sleep.
struct World {
  World() {
    sim::Machine::Spec spec;
    for (int core = 0; core < 2; ++core)
      spec.cores.push_back({.cpus = {CpuId(2 * core), CpuId(2 * core + 1)}});
    machine = *sim::Machine::Create(spec);
    control = *sim::SimControlKernel::Create(*machine);
    for (int i = 0; i < 5; ++i)
      threads.push_back(&machine->NewThread("vcpu", std::make_unique<Spinner>()));
  }
  std::vector<std::string> Restore(const json& state) { return RestoreClass(*control, state); }

  std::unique_ptr<sim::Machine> machine;
  std::unique_ptr<sim::SimControlKernel> control;
  std::vector<sim::SimThread*> threads;
};

// Three domains in two enclaves, which have been at work for a while.
void SetToWork(World& world) {
  const EnclaveId vms = *world.control->CreateEnclave({.name = "vms",
                                                       .cpus = *CpuSet::Parse("0-1"),
                                                       .tenure = milliseconds(3),
                                                       .runnable_timeout = milliseconds(900)});
  const EnclaveId web = *world.control->CreateEnclave({.name = "web",
                                                       .cpus = *CpuSet::Parse("2-3"),
                                                       .deliver_ticks = true,
                                                       .deliver_availability = true});
  ASSERT_TRUE(world.control->Protect(vms, {.stop_on_loss = true, .strict = true}).ok());
  world.machine->SetPolicy(*world.threads[4], kSchedBatch);
  for (int i = 0; i < 5; ++i) {
    const DomainKey key = {static_cast<uint8_t>(0xf0 + i / 2)};
    const DomainId domain =
        *world.control->CreateDomain(i < 4 ? vms : web, key, i < 2 ? "al\"pha\xc3" : "bravo");
    const absl::StatusOr<Gtid> task =
        world.control->AttachTask(world.threads[i]->pid, domain, i % 2, 50 + i);
    ASSERT_TRUE(task.ok()) << task.status();
    ASSERT_TRUE(world.control
                    ->UpdateTask(*task, {.weight = static_cast<uint32_t>(50 + i),
                                         .budget = milliseconds(i),
                                         .period = milliseconds(10),
                                         .cap = milliseconds(i == 3 ? 7 : 0),
                                         .cap_period = milliseconds(i == 3 ? 9 : 0),
                                         .node = i == 2 ? 0 : GHOST_NO_NODE})
                    .ok());
    world.machine->Wake(*world.threads[i]);
  }
  world.machine->RunFor(milliseconds(300));
}

TEST(ClassState, AnotherClassKnowsWhatTheFormerOneKnew) {
  World former;
  ASSERT_NO_FATAL_FAILURE(SetToWork(former));
  const json state = CaptureClass(*former.control);
  EXPECT_EQ(state["enclaves"].size(), 2u);
  EXPECT_GT(state["enclaves"][0]["domains"][0]["tasks"][0]["runtime_ns"].get<uint64_t>(), 0u);
  EXPECT_GT(state["cores"][0]["switches_class"].get<uint64_t>(), 0u);

  World later;
  for (sim::SimThread* const thread : later.threads) later.machine->SetPolicy(*thread, kSchedExt);
  EXPECT_EQ(later.Restore(state), std::vector<std::string>());
  EXPECT_EQ(CaptureClass(*later.control), state);
  EXPECT_EQ(later.Restore(state), std::vector<std::string>()) << "said twice";
  EXPECT_EQ(CaptureClass(*later.control), state);

  for (sim::SimThread* const thread : later.threads) later.machine->Wake(*thread);
  later.machine->RunFor(milliseconds(300));
  for (sim::SimThread* const thread : later.threads)
    EXPECT_GT(later.machine->CpuTime(*thread), Duration(0));
  const json after = CaptureClass(*later.control);
  for (size_t domain = 0; domain < 2; ++domain) {
    for (size_t i = 0; i < 2; ++i) {
      const auto& then = state["enclaves"][0]["domains"][domain]["tasks"][i];
      const auto& now = after["enclaves"][0]["domains"][domain]["tasks"][i];
      EXPECT_GT(now["runtime_ns"].get<uint64_t>(), then["runtime_ns"].get<uint64_t>());
      EXPECT_GE(now["waited_ns"].get<uint64_t>(), then["waited_ns"].get<uint64_t>());
      EXPECT_EQ(now["budget_ns"], then["budget_ns"]);
    }
  }
  EXPECT_EQ(after["enclaves"][1]["domains"][0]["tasks"][0]["former_policy"], kSchedBatch);
}

TEST(ClassState, OneThatHasEndedIsNoLoss) {
  World former;
  ASSERT_NO_FATAL_FAILURE(SetToWork(former));
  json state = CaptureClass(*former.control);
  state["enclaves"][0]["domains"][0]["tasks"][1]["tid"] = 99999;
  World later;
  EXPECT_EQ(later.Restore(state), std::vector<std::string>());
  const json now = CaptureClass(*later.control);
  EXPECT_EQ(now["enclaves"][0]["domains"][0]["tasks"].size(), 1u);
  EXPECT_EQ(now["enclaves"][0]["domains"][1], state["enclaves"][0]["domains"][1]);
}

// One that is about to change its domain goes where it was to go, with what it did.
TEST(ClassState, AChangeOfDomainThatIsUnderWayIsOver) {
  World former;
  ASSERT_NO_FATAL_FAILURE(SetToWork(former));
  json state = CaptureClass(*former.control);
  const ghost_status_word& word = former.control->status_words()[0];
  ASSERT_TRUE(former.control->RelabelTask(Gtid(word.gtid), DomainId(word.domain + 1)).ok());
  const json moved = CaptureClass(*former.control);
  json& from = state["enclaves"][0]["domains"][0]["tasks"];
  json& to = state["enclaves"][0]["domains"][1]["tasks"];
  to.insert(to.begin(), from[0]);
  from.erase(0);
  EXPECT_EQ(moved["enclaves"], state["enclaves"]);
}

TEST(ClassState, WhatIsMissingOrOfAnotherKindCountsAsNothing) {
  const json nonsense[] = {json(),
                           json(7),
                           json::array(),
                           {{"enclaves", 7}, {"cores", "all"}},
                           {{"cores", {{{"cpus", "0-1"}, {"commits", -1}, {"siblings", 3}}}}},
                           {{"cores", {{{"cpus", "7-9"}}}}}};
  for (const json& state : nonsense) {
    World world;
    EXPECT_EQ(world.Restore(state), std::vector<std::string>()) << state;
  }
  const json broken[] = {{{"enclaves", {7}}},
                         {{"enclaves", {{{"name", "vms"}}}}},
                         {{"enclaves", {{{"name", "vms"}, {"cpus", "x"}}}}},
                         {{"enclaves", {{{"name", "a name that is too long"}, {"cpus", "0-1"}}}}}};
  for (const json& state : broken) {
    World world;
    EXPECT_EQ(world.Restore(state).size(), 1u) << state;
  }
  World world;
  json weightless = {{"name", "vms"}, {"cpus", "0-1"}, {"domains", json::array()}};
  weightless["domains"].push_back({{"key", "zz"}, {"tasks", json::array({7, "x"})}});
  weightless["domains"][0]["tasks"].push_back(
      {{"tid", static_cast<uint32_t>(world.threads[0]->pid)}});
  json state;
  state["enclaves"].push_back(weightless);
  EXPECT_EQ(world.Restore(state).size(), 1u) << state;
}

}  // namespace
}  // namespace corral
