// SPDX-License-Identifier: Apache-2.0
// Laws of the policy search on random simulated machines with several L3 caches and nodes, with
// tasks that come, go, sleep, fork and change their affinity, and a host that takes CPUs.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "agent/runtime/loop_timing.h"
#include "policies/search/runtime_heap.h"
#include "tests/sim/draw.h"
#include "tests/sim/search_laws.h"

namespace corral {
namespace {

using sim::SimThread;
using std::chrono::microseconds;
using std::chrono::milliseconds;

struct Setting {
  CentralHost::Options host;
  SearchJudge::Promises promises;
  Duration credit;
  int tasks = 0;
  RandomTask::Habits habits;
  uint64_t seed = 0;
};

Setting RandomSetting(bool order) {
  Setting setting;
  setting.host.policy = "search";
  setting.host.siblings = *rc::gen::element(1, 2).as("siblings");
  setting.host.cores_per_l3 = Draw(1, 3, "cores per L3");
  const int l3s_per_node = Draw(1, 2, "L3s per node");
  setting.host.cores_per_node = setting.host.cores_per_l3 * l3s_per_node;
  setting.host.cores = setting.host.cores_per_node * Draw(1, 2, "nodes");
  if (setting.host.cores == 1) setting.host.cores = 2;
  const int slice = *rc::gen::element(500, 1000, 3000).as("slice, us");
  const int park = *rc::gen::element(100, 400, 1000).as("park, us");
  const int credit = order ? 10'000'000 : *rc::gen::element(500, 2000, 10000).as("credit, us");
  setting.host.values = {{"slice", absl::StrCat(slice, "us")},
                         {"park", absl::StrCat(park, "us")},
                         {"credit", absl::StrCat(credit, "us")}};
  const int locality = *rc::gen::element(1, 1, 1000, 20000).as("locality, us");
  const bool idle_cores = *rc::gen::arbitrary<bool>().as("idle cores first");
  setting.host.values.emplace_back("locality", absl::StrCat(locality, "us"));
  setting.host.values.emplace_back("placement", idle_cores ? "idle_cores" : "nearest");
  setting.promises = {.slice = microseconds(slice),
                      .park = microseconds(park),
                      .locality = microseconds(locality),
                      .idle_cores = idle_cores,
                      .order = order};
  setting.credit = microseconds(credit);
  setting.tasks = Draw(1, 24, "tasks");
  setting.seed = static_cast<uint64_t>(Draw(1, 1'000'000, "seed"));
  setting.habits.longest = microseconds(*rc::gen::element(300, 2000, 20000).as("steps, us"));
  setting.habits.sleeps = static_cast<uint32_t>(Draw(0, 900, "sleeps"));
  setting.habits.forks = !order;
  return setting;
}

struct World {
  explicit World(const Setting& setting, const std::vector<uint32_t>& weights = {100})
      : setting(setting),
        random(setting.seed),
        host(setting.host),
        judge(host, setting.host, setting.promises) {
    for (int i = 0; i < setting.tasks; ++i) {
      host.AddTask(std::make_unique<RandomTask>(host, setting.habits, random.Next()),
                   weights[random.Below(weights.size())]);
    }
  }

  void Run(
      int whiles, const std::function<void()>& disturb = [] {}) {
    for (int i = 0; i < whiles; ++i) {
      disturb();
      host.machine().RunFor(random.Between(Duration(0), microseconds(400)));
      judge.Look(host.machine().now());
    }
  }
  void ChangeAffinity() {
    SimThread& task = *host.tasks()[random.Below(host.tasks().size())];
    if (task.dead() || !random.Chance(100)) return;
    CpuSet some;
    host.cpus().ForEach([&](CpuId cpu) {
      if (random.Chance(500)) some.Insert(cpu);
    });
    host.SetAffinity(task, some.empty() ? host.cpus() : some);
  }
  void AddNoise(Duration longest) {
    host.cpus().ForEach([&](CpuId cpu) {
      if (random.Chance(400)) return;
      host.machine().Wake(host.AddHostThread(
          cpu, std::make_unique<HostNoise>(longest / 2, longest * 5, random.Next())));
    });
  }
  void AssertLaws() {
    RC_ASSERT(judge.broken() == "");
    RC_ASSERT(host.breaches() == 0u);
    RC_ASSERT(host.agent().counters().repairs == 0u);
  }
  // What the policy promises (policy.h), on the one CPU of all that it may use, of which the agent
  // may have half.
  Duration Bound() const {
    const auto others = static_cast<int64_t>(host.tasks().size());
    return 2 * (others * (2 * setting.credit + 3 * setting.promises.slice) + setting.promises.park +
                setting.promises.locality + loop_timing::kSharedStay);
  }

  const Setting setting;
  sim::Random random;
  CentralHost host;
  SearchJudge judge;
};

RC_GTEST_PROP(Search, WhoHadLeastRuntimeGoesFirst, ()) {
  World world(RandomSetting(/*order=*/true));
  world.Run(1000);
  world.AssertLaws();
}

RC_GTEST_PROP(Search, AndSoItIsByWeight, ()) {
  World world(RandomSetting(/*order=*/true), {30, 100, 300});
  world.Run(1000);
  world.AssertLaws();
}

RC_GTEST_PROP(Search, AndSoItIsWithAffinities, ()) {
  World world(RandomSetting(/*order=*/true));
  world.Run(1000, [&] { world.ChangeAffinity(); });
  world.AssertLaws();
}

RC_GTEST_PROP(Search, NobodyStarves, ()) {
  World world(RandomSetting(/*order=*/false));
  world.Run(2000, [&] { world.ChangeAffinity(); });
  world.AssertLaws();
  RC_ASSERT(world.host.LongestWait() <= world.Bound());
}

// Whom the host pushes aside waits behind it, until the class takes that back.
RC_GTEST_PROP(Search, NobodyStarvesBesideAHostThatTakesCpus, ()) {
  Setting setting = RandomSetting(/*order=*/false);
  setting.promises.tolerance = 5 * loop_timing::kLookAround;
  World world(setting);
  world.AddNoise(microseconds(*rc::gen::element(20, 300, 5000).as("host, us")));
  world.Run(1000);
  world.AssertLaws();
  RC_ASSERT(world.host.LongestWait() <= world.Bound() * 2 + milliseconds(100));
}

// Two that compute, on one CPU: time by weight, whatever they had before they met.
TEST(Search, TimeIsSharedByWeight) {
  CentralHost host({.policy = "search", .cores = 2, .foreign = 0});
  CpuSet one;
  one.Insert(CpuId(1));
  SimThread& heavy = host.AddTask(std::make_unique<Endless>(), 300);
  SimThread& light = host.AddTask(std::make_unique<Endless>(), 100);
  for (SimThread* const task : {&heavy, &light}) host.SetAffinity(*task, one);
  host.machine().RunFor(std::chrono::seconds(1));
  const double ratio = static_cast<double>(host.machine().CpuTime(heavy).count()) /
                       static_cast<double>(host.machine().CpuTime(light).count());
  EXPECT_NEAR(ratio, 3, 0.15);
}

// As the threads themselves, or their operator, set them; also while they run. A step of 5 is about
// a factor of 3, as for the kernel's own scheduler.
TEST(Search, AndByNiceValue) {
  CentralHost host({.policy = "search", .cores = 2, .foreign = 0});
  CpuSet one;
  one.Insert(CpuId(1));
  SimThread& task = host.AddTask(std::make_unique<Endless>());
  SimThread& nice = host.AddTask(std::make_unique<Endless>());
  for (SimThread* const each : {&task, &nice}) host.SetAffinity(*each, one);
  const auto ratio = [&] {
    const Duration before[] = {host.machine().CpuTime(task), host.machine().CpuTime(nice)};
    host.machine().RunFor(std::chrono::seconds(1));
    return static_cast<double>((host.machine().CpuTime(task) - before[0]).count()) /
           static_cast<double>((host.machine().CpuTime(nice) - before[1]).count());
  };
  EXPECT_NEAR(ratio(), 1, 0.05);
  host.machine().SetNice(nice, 5);
  EXPECT_NEAR(ratio(), 3.1, 0.2);
  host.machine().SetNice(nice, 0);
  EXPECT_NEAR(ratio(), 1, 0.05);
}

// It moves to another L3 only when its own has nothing for it, and then within the park time and
// what it takes to notice.
TEST(Search, ATaskParksBeforeItLeavesItsL3) {
  const CentralHost::Options options = {.policy = "search",
                                        .values = {{"park", "400us"}, {"slice", "10s"}},
                                        .cores = 4,
                                        .foreign = 0,
                                        .cores_per_l3 = 2};
  CentralHost host(options);
  const auto sleeper = [&] {
    class Program final : public sim::Program {
      sim::Step Next(SimThread&, Time) override {
        runs_ = !runs_;
        return runs_ ? sim::Step::Run(microseconds(200)) : sim::Step::Block();
      }
      bool runs_ = false;
    };
    return std::make_unique<Program>();
  };
  SimThread& task = host.AddTask(sleeper());
  host.machine().RunFor(milliseconds(5));
  // Others have its L3, and their slice will not be over.
  const int first = task.cpu() / 2 * 2;
  CpuSet near;
  near.Insert(CpuId(first));
  near.Insert(CpuId(first + 1));
  for (int i = 0; i < 2; ++i) host.SetAffinity(host.AddTask(std::make_unique<Endless>()), near);
  host.machine().RunFor(milliseconds(5));
  const Duration before = task.work();
  const Time woken = host.machine().now();
  host.machine().Wake(task);
  host.machine().RunFor(microseconds(390));
  EXPECT_EQ(task.work(), before);
  host.machine().RunFor(microseconds(400));
  EXPECT_GT(task.work(), before);
  EXPECT_NE(task.cpu() / 2 * 2, first);
  EXPECT_GE(task.longest_wait(), microseconds(400));
  EXPECT_LE(host.machine().now() - woken, milliseconds(1));
}

RC_GTEST_PROP(RuntimeHeap, IsAPriorityQueue, ()) {
  std::vector<search::Seeker> seekers(static_cast<size_t>(Draw(1, 40, "seekers")));
  search::RuntimeHeap heap(static_cast<uint32_t>(seekers.size()));
  const auto less = [](const search::Seeker* a, const search::Seeker* b) {
    return std::pair(a->elapsed, a->number) < std::pair(b->elapsed, b->number);
  };
  std::set<search::Seeker*, decltype(less)> model(less);
  for (int i = 0; i < 300; ++i) {
    search::Seeker& seeker =
        seekers[static_cast<size_t>(*rc::gen::inRange(0, static_cast<int>(seekers.size())))];
    if (seeker.waits()) {
      model.erase(&seeker);
      heap.Erase(seeker);
    } else {
      seeker.elapsed = *rc::gen::inRange(0, 20);
      seeker.number = static_cast<uint64_t>(i);
      model.insert(&seeker);
      heap.Push(seeker);
    }
    RC_ASSERT(heap.empty() == model.empty());
    if (!model.empty()) RC_ASSERT(&heap.top() == *model.begin());
  }
}

}  // namespace
}  // namespace corral
