// SPDX-License-Identifier: Apache-2.0
// Laws of the policy snap on random simulated machines, with workers and batch tasks, and a host
// that takes CPUs: workers before batch tasks, in the order in which they came, and not behind
// threads of the host while there is another CPU.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/sim/random_laws.h"

namespace corral {
namespace {

using sim::SimThread;
using std::chrono::microseconds;
using std::chrono::milliseconds;

CentralSetting RandomSetting() {
  CentralSetting setting;
  setting.host.policy = "snap";
  setting.host.siblings = *rc::gen::element(1, 2).as("siblings");
  setting.host.cores = Draw(setting.host.siblings == 1 ? 2 : 1, 4, "cores");
  const int slice = *rc::gen::element(500, 1000, 3000).as("slice, us");
  const int batch_slice = *rc::gen::element(1000, 10000).as("batch slice, us");
  setting.slices = {microseconds(slice), microseconds(batch_slice)};
  setting.host.values = {{"slice", absl::StrCat(slice, "us")},
                         {"batch_slice", absl::StrCat(batch_slice, "us")}};
  setting.batch_weight = 50;
  DrawTasks(20, {300, 2000, 20000}, setting);
  return setting;
}

RC_GTEST_PROP(Snap, WorkersComeFirst, ()) { AssertLawsHold(RandomSetting(), 1000); }

RC_GTEST_PROP(Snap, AndSoItIsWithAffinities, ()) {
  AssertLawsHoldWithAffinities(RandomSetting(), 1000);
}

RC_GTEST_PROP(Snap, AndSoItIsBesideAHostThatTakesCpus, ()) {
  AssertLawsHoldBesideAHost(RandomSetting(), 1000);
}

// A thread of the host comes and stays for 50 ms: the worker goes on elsewhere within the time in
// which the agent looks around, and some turns; and not when the class would take it back.
TEST(Snap, AWorkerWhoseCpuIsTakenIsMoved) {
  CentralHost host({.policy = "snap", .cores = 4, .foreign = 0});
  class Once final : public sim::Program {
    sim::Step Next(SimThread&, Time) override {
      runs_ = !runs_;
      return runs_ ? sim::Step::Run(milliseconds(50)) : sim::Step::Block();
    }
    bool runs_ = false;
  };
  SimThread& worker = host.AddTask(std::make_unique<Endless>());
  host.machine().RunFor(milliseconds(5));
  for (int i = 0; i < 5; ++i) {
    const int taken = worker.cpu();
    SimThread& thread = host.AddHostThread(CpuId(taken), std::make_unique<Once>());
    const Duration before = host.machine().CpuTime(worker);
    host.machine().Wake(thread);
    host.machine().RunFor(milliseconds(10));
    EXPECT_NE(worker.cpu(), taken);
    EXPECT_GE(host.machine().CpuTime(worker) - before, milliseconds(10) - microseconds(300));
    host.machine().RunFor(milliseconds(50));
  }
}

// A worker of short runs, and where it had them.
class Packets final : public sim::Program {
 public:
  int came = 0, moved = 0;

 private:
  sim::Step Next(SimThread& self, Time) override {
    runs_ = !runs_;
    if (!runs_) return sim::Step::Sleep(microseconds(100));
    ++came;
    if (std::exchange(last_, self.cpu()) != self.cpu()) ++moved;
    return sim::Step::Run(microseconds(5));
  }
  bool runs_ = false;
  int last_ = -1;
};

// All CPUs have batch tasks, and one of them has to leave: that where the worker's caches are. The
// agent moves now and then, perhaps to just there.
TEST(Snap, AWorkerComesBackToWhereItRanLast) {
  CentralHost host({.policy = "snap", .cores = 5, .foreign = 0});
  for (int i = 0; i < 8; ++i) host.AddTask(std::make_unique<Endless>(), /*weight=*/10);
  auto program = std::make_unique<Packets>();
  const Packets& packets = *program;
  host.AddTask(std::move(program));
  host.machine().RunFor(milliseconds(500));
  EXPECT_GE(packets.came, 4000);
  EXPECT_LE(packets.moved, packets.came / 50);
}

// What a worker leaves, a batch task has before the agent has heard of it.
TEST(Snap, BatchTasksHaveAllThatWorkersLeave) {
  CentralHost host({.policy = "snap", .cores = 2, .foreign = 0});
  std::vector<const SimThread*> tasks;
  for (int i = 0; i < 2; ++i)
    tasks.push_back(&host.AddTask(std::make_unique<Endless>(), /*weight=*/10));
  tasks.push_back(&host.AddTask(std::make_unique<Packets>()));
  host.machine().RunFor(milliseconds(10));
  Duration had{0};
  for (const SimThread* task : tasks) had -= host.machine().CpuTime(*task);
  host.machine().RunFor(milliseconds(500));
  for (const SimThread* task : tasks) had += host.machine().CpuTime(*task);
  EXPECT_GE(had, milliseconds(500) * 998 / 1000);
}

}  // namespace
}  // namespace corral
