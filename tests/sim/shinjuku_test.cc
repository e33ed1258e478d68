// SPDX-License-Identifier: Apache-2.0
// Laws of shinjuku on random simulated machines: the latency class goes before the batch class, is
// served in order and in slices, and does not starve; no CPU idles beside a task of either.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "absl/strings/str_cat.h"
#include "policies/shinjuku/load_meter.h"
#include "tests/hints/hint_pad.h"
#include "tests/sim/random_laws.h"

namespace corral {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

CentralSetting RandomSetting() {
  CentralSetting setting;
  setting.host.policy = "shinjuku";
  setting.host.siblings = *rc::gen::element(1, 2).as("siblings");
  setting.host.cores = Draw(2, 5, "cores");
  const int slice = *rc::gen::element(10, 30, 100, 1000).as("slice, us");
  const int batch_slice = *rc::gen::element(500, 10000).as("slice of batch, us");
  setting.slices = {microseconds(slice), microseconds(batch_slice)};
  const int batch_until = *rc::gen::element(0, 50, 95, 100).as("batch until, %");
  setting.batch_weight = 20;
  setting.host.values = {{"slice", absl::StrCat(slice, "us")},
                         {"batch_slice", absl::StrCat(batch_slice, "us")},
                         {"batch_until", absl::StrCat(batch_until)},
                         {"batch_weight", "20"}};
  DrawTasks(24, {50, 300, 3000}, setting);
  return setting;
}

RC_GTEST_PROP(Shinjuku, LatencyGoesFirst, ()) { AssertLawsHold(RandomSetting(), 400); }

RC_GTEST_PROP(Shinjuku, AndSoItIsWithAffinities, ()) {
  AssertLawsHoldWithAffinities(RandomSetting(), 400);
}

RC_GTEST_PROP(Shinjuku, AndSoItIsBesideAHostThatTakesCpus, ()) {
  AssertLawsHoldBesideAHost(RandomSetting(), 400);
}

// A task changes its class when the control plane says so, whatever it does at the moment.
RC_GTEST_PROP(Shinjuku, WeightsMayChange, ()) {
  CentralLaws world(RandomSetting());
  world.AddTasks();
  for (int i = 0; i < 60; ++i) {
    const sim::SimThread& task = *world.host.tasks()[world.random.Below(world.host.tasks().size())];
    if (const ghost_status_word* const word = world.host.WordOf(task); word != nullptr) {
      const uint32_t weight = world.random.Chance(500) ? 20 : 100;
      RC_ASSERT(world.host.control().UpdateTask(Gtid(word->gtid), {.weight = weight}).ok());
    }
    world.Run(3);
    world.judge.Reset(world.host.machine().now());
    world.Run(4);
    AssertLaws(world);
  }
}

// Threads say what they are at, whatever they do at the moment; none gets more than its weight has
// it.
RC_GTEST_PROP(Shinjuku, HintsLower, ()) {
  const std::unique_ptr<HintTables> hints = HintTables::Create().value();
  CentralSetting setting = RandomSetting();
  setting.host.hints = hints.get();
  setting.habits.forks = false;
  CentralLaws world(setting);
  const sim::SimThread& first = world.host.AddTask(std::make_unique<Endless>());
  const pid_t process = first.tgid;
  HintPad pad(*hints, process);
  for (int i = 0; i < setting.tasks; ++i) {
    world.host.AddTask(
        std::make_unique<RandomTask>(world.host, setting.habits, world.random.Next()),
        world.random.Chance(500) ? 20 : 100, /*domain=*/1, process);
  }
  for (int i = 0; i < 10; ++i) {
    const sim::SimThread& task = *world.host.tasks()[world.random.Below(world.host.tasks().size())];
    const ghost_status_word* const word = world.host.WordOf(task);
    if (word != nullptr)
      pad.Set(static_cast<pid_t>(word->tid), world.random.Chance(500) ? Hint::kBatch : Hint::kNone);
    // One of the latency class that waits is served as such before it is seen.
    world.host.machine().RunFor(milliseconds(40));
    world.judge.Reset(world.host.machine().now());
    world.Run(4);
    AssertLaws(world);
  }
}

// Nobody but the thread itself, or its operator, says that it is batch: by its nice value. It gives
// way at once.
TEST(Shinjuku, WhoIsNiceIsOfTheBatchClass) {
  CentralHost host({.policy = "shinjuku", .cores = 2, .foreign = 0});
  CpuSet one;
  one.Insert(CpuId(1));
  sim::SimThread& task = host.AddTask(std::make_unique<Endless>());
  sim::SimThread& nice = host.AddTask(std::make_unique<Endless>());
  for (sim::SimThread* const each : {&task, &nice}) host.SetAffinity(*each, one);
  host.machine().RunFor(milliseconds(20));
  EXPECT_GT(host.machine().CpuTime(nice), milliseconds(8));
  host.machine().SetNice(nice, 10);
  host.machine().RunFor(milliseconds(1));
  const Duration had = host.machine().CpuTime(nice);
  host.machine().RunFor(milliseconds(20));
  EXPECT_EQ(host.machine().CpuTime(nice), had);
  host.machine().SetNice(nice, 0);
  host.machine().RunFor(milliseconds(20));
  EXPECT_GT(host.machine().CpuTime(nice) - had, milliseconds(8));
}

TEST(LoadMeter, IsTheMeanOfTheLastWindow) {
  shinjuku::LoadMeter meter(milliseconds(10));
  meter.Note(Time(milliseconds(0)), 2, 4);
  EXPECT_EQ(meter.percent(), 0) << "nothing is known yet";
  meter.Note(Time(milliseconds(5)), 4, 4);
  meter.Note(Time(milliseconds(10)), 0, 4);
  EXPECT_EQ(meter.percent(), 75);
  meter.Note(Time(milliseconds(19)), 4, 8);
  EXPECT_EQ(meter.percent(), 75);
  meter.Note(Time(milliseconds(21)), 8, 8);
  EXPECT_EQ(meter.percent(), 15) << "8 of 52 ms of CPU time";
}

}  // namespace
}  // namespace corral
