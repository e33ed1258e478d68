// SPDX-License-Identifier: Apache-2.0
// The centralized agent itself, whatever its policy: it goes away from a CPU that others want,
// loses nobody when queues overflow, CPUs go or it hangs, and commits for all CPUs at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/runtime/loop_timing.h"
#include "tests/sim/central_host.h"

namespace corral {
namespace {

using sim::SimThread;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// From when a thread of the host wants the agent's CPU: until the agent looks around, and moves.
// The kernel's stopper and two switches are 3 us (sim/costs.h); a decision may come first.
constexpr Duration kGone = loop_timing::kLookAround + microseconds(10);

const CentralLoop& Loop(CentralHost& host) { return host.agent().central(); }

void AddEndless(CentralHost& host, int tasks) {
  for (int i = 0; i < tasks; ++i) host.AddTask(std::make_unique<Endless>());
}

// Runs once each time it is woken.
class OnDemand final : public sim::Program {
 public:
  explicit OnDemand(Duration work) : work_(work) {}
  sim::Step Next(SimThread&, Time) override {
    works_ = !works_;
    return works_ ? sim::Step::Run(work_) : sim::Step::Block();
  }

 private:
  const Duration work_;
  bool works_ = false;
};

TEST(CentralAgent, LeavesItsCpuToAThreadOfTheHostAtOnce) {
  CentralHost host({.cores = 4});
  AddEndless(host, 8);
  host.machine().RunFor(milliseconds(20));
  Duration longest{0};
  for (int i = 0; i < 50; ++i) {
    const CpuId place = Loop(host).place();
    ASSERT_NE(host.machine().Running(place), nullptr);
    EXPECT_EQ(host.machine().Running(place)->vm, 0u) << "the agent is there";
    SimThread& thread = host.AddHostThread(place, std::make_unique<OnDemand>(microseconds(50)));
    host.machine().Wake(thread);
    host.machine().RunFor(loop_timing::kLeastStay * 2 + microseconds(13));
    EXPECT_NE(Loop(host).place(), place);
    longest = std::max(longest, host.machine().LongestWait(thread));
  }
  printf("a thread of the host waited for the agent's CPU for up to %lld us\n",
         static_cast<long long>(longest.count() / 1000));
  EXPECT_LE(longest, kGone);
  EXPECT_EQ(Loop(host).moves(), 50u) << "it moved once for each";
  EXPECT_EQ(host.agent().counters().repairs, 0u);
}

// Where its new CPU is wanted too, and each after that, it shares them: everybody of the host has
// every CPU for most of the time, and the tasks what is left.
TEST(CentralAgent, DoesNotOnlyMoveWhereAllCpusAreWanted) {
  constexpr int kCpus = 4;
  CentralHost host({.cores = kCpus});
  AddEndless(host, 4);
  host.machine().RunFor(milliseconds(20));
  std::vector<SimThread*> hogs;
  host.cpus().ForEach([&](CpuId cpu) {
    hogs.push_back(&host.AddHostThread(cpu, std::make_unique<Endless>()));
    host.machine().Wake(*hogs.back());
  });
  const uint64_t before = Loop(host).moves();
  host.machine().RunFor(seconds(1));
  const uint64_t moves = Loop(host).moves() - before;
  printf("%llu moves in a second in which every CPU was wanted\n",
         static_cast<unsigned long long>(moves));
  EXPECT_LE(moves, static_cast<uint64_t>(seconds(1) / loop_timing::kSharedStay) + kCpus);
  for (const SimThread* hog : hogs) EXPECT_GT(host.machine().CpuTime(*hog), milliseconds(740));
}

// A SCHED_FIFO thread may be throttled after 950 ms of a second on one CPU.
TEST(CentralAgent, StaysNowhereForLong) {
  CentralHost host({.cores = 3});
  AddEndless(host, 3);
  host.machine().RunFor(seconds(4));
  EXPECT_GE(Loop(host).moves(), 4u);
  EXPECT_LE(Loop(host).moves(), 5u);
  EXPECT_LE(host.LongestWait(), milliseconds(40)) << "its slices are 10 ms";
}

TEST(CentralAgent, LeavesItsCpuToATaskThatCanRunNowhereElse) {
  CentralHost host({.cores = 2});
  SimThread& elsewhere = host.AddTask(std::make_unique<Endless>());
  host.machine().RunFor(milliseconds(5));
  SimThread& task = host.AddTask(std::make_unique<Endless>());
  CpuSet there;
  there.Insert(Loop(host).place());
  host.SetAffinity(task, there);
  host.machine().RunFor(milliseconds(1));
  EXPECT_GT(host.machine().CpuTime(task), microseconds(800));
  // And comes back, because the other one can use both CPUs; they share the one that is left.
  host.machine().RunFor(milliseconds(500));
  EXPECT_GT(host.machine().CpuTime(task), milliseconds(230));
  EXPECT_GT(host.machine().CpuTime(elsewhere), milliseconds(230));
}

TEST(CentralAgent, GoesOnWhenItsCpuGoes) {
  CentralHost host({.cores = 4});
  AddEndless(host, 6);
  host.machine().RunFor(milliseconds(20));
  for (int i = 0; i < 8; ++i) {
    const CpuId place = Loop(host).place();
    host.machine().SetOnline(place, false);
    host.machine().RunFor(milliseconds(30));
    EXPECT_NE(Loop(host).place(), place);
    EXPECT_FALSE(host.machine().Online(place));
    host.machine().SetOnline(place, true);
    host.machine().RunFor(milliseconds(30));
  }
  EXPECT_LE(host.LongestWait(), milliseconds(100));
  EXPECT_EQ(host.agent().counters().repairs, 0u);
  // The CPUs that came back are used again: three of four work.
  Duration before{0}, after{0};
  for (const SimThread* task : host.tasks()) before += host.machine().CpuTime(*task);
  host.machine().RunFor(milliseconds(100));
  for (const SimThread* task : host.tasks()) after += host.machine().CpuTime(*task);
  EXPECT_GT(after - before, milliseconds(295));
}

// What is not read is lost, but the status words know.
TEST(CentralAgent, LosesNobodyWhenItsQueuesOverflow) {
  CentralHost host({.cores = 4, .queue_messages = 3});
  sim::Random random(1);
  for (int i = 0; i < 40; ++i)
    host.AddTask(std::make_unique<RandomTask>(host, RandomTask::Habits{.longest = milliseconds(1)},
                                              random.Next()));
  for (int i = 0; i < 20; ++i) {
    host.machine().RunFor(milliseconds(20));
    host.agent().Pause(milliseconds(5));
  }
  const LoopCounters counters = host.agent().counters();
  printf("%s\n", counters.Format().c_str());
  EXPECT_GT(counters.overflows, 100u);
  EXPECT_GT(counters.rescans, 10u);
  EXPECT_EQ(counters.repairs, 0u);
  // 40 tasks on 3 CPUs, each for up to 1 ms at a time, and the pauses.
  EXPECT_LE(host.LongestWait(), milliseconds(60));
}

// The class gives each task that has waited for too long a little time, and takes the core whose
// queue is not read. It takes no other: the agent's threads are there.
TEST(CentralAgent, AHungOneStarvesNobody) {
  CentralHost host({.cores = 4});
  AddEndless(host, 12);
  host.machine().RunFor(milliseconds(100));
  host.agent().Pause(seconds(8));
  host.machine().RunFor(seconds(8));
  printf("an agent that hung for 8 s: longest wait %lld ms\n",
         static_cast<long long>(host.LongestWait().count() / 1000000));
  EXPECT_LT(host.LongestWait(), seconds(5));
  host.machine().RunFor(milliseconds(100));
  std::vector<Duration> before;
  for (const SimThread* task : host.tasks()) before.push_back(host.machine().CpuTime(*task));
  host.machine().RunFor(milliseconds(400));
  for (size_t i = 0; i < before.size(); ++i) {
    // A quarter of a CPU each, in slices of 10 ms.
    EXPECT_GT(host.machine().CpuTime(*host.tasks()[i]) - before[i], milliseconds(80));
  }
  EXPECT_EQ(host.agent().counters().repairs, 0u);
}

TEST(CentralAgent, SleepsWhileThereAreNoTasks) {
  CentralHost host({.cores = 4});
  host.machine().RunFor(seconds(2));
  EXPECT_LT(host.agent().cpu_time(), milliseconds(1));
  SimThread& task = host.AddTask(std::make_unique<OnDemand>(microseconds(100)));
  host.machine().RunFor(milliseconds(1));
  EXPECT_GT(host.machine().CpuTime(task), microseconds(99)) << "and wakes up for the first";
}

// With no other CPU for tasks it does as a per-core agent does.
TEST(CentralAgent, SharesTheOnlyCpuThatThereIs) {
  CentralHost host({.cores = 1});
  AddEndless(host, 3);
  host.machine().RunFor(milliseconds(310));
  for (const SimThread* task : host.tasks())
    EXPECT_GT(host.machine().CpuTime(*task), milliseconds(85));
}

TEST(CentralAgent, LeavesAllCpusToTasksIfItHasOthers) {
  CentralHost host({.cores = 4, .foreign = 2, .housekeeping = CpuSet({4, 5})});
  AddEndless(host, 4);
  host.machine().RunFor(milliseconds(100));
  EXPECT_TRUE(CpuSet({4, 5}).Contains(Loop(host).place()));
  for (const SimThread* task : host.tasks())
    EXPECT_GT(host.machine().CpuTime(*task), milliseconds(99));
}

// 69 CPUs for tasks, more than fit into one call (GHOST_COMMIT_MAX_CORES).
TEST(CentralAgent, CommitsForAllCpusAtOnce) {
  CentralHost host({.cores = 70});
  std::vector<uint32_t> calls;
  host.agent().kernel().before_commit = [&](ghost_commit& commit) {
    if (commit.nr > 0) calls.push_back(commit.nr);
  };
  AddEndless(host, 69);
  host.machine().RunFor(milliseconds(1));
  EXPECT_EQ(calls, std::vector<uint32_t>({GHOST_COMMIT_MAX_CORES, 5}));
  for (const SimThread* task : host.tasks())
    EXPECT_GT(host.machine().CpuTime(*task), microseconds(700));
}

}  // namespace
}  // namespace corral
