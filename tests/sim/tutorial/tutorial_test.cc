// SPDX-License-Identifier: Apache-2.0
// Laws of fair_share, the policy that docs/writing-a-policy.md builds, taken out of that page:
// processes share by weight, nobody starves, trust domains do not meet, and the page's scenario
// comes out as it says.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/runtime/loop_timing.h"
#include "agent/simulate/simulation.h"
#include "tests/sim/central_host.h"
#include "tests/sim/draw.h"

namespace corral {
namespace {

using sim::SimThread;
using std::chrono::microseconds;
using std::chrono::milliseconds;

CentralHost::Options Host(int cores, int siblings, int slice_us) {
  return {.policy = "fair_share",
          .values = {{"slice", absl::StrCat(slice_us, "us")}},
          .cores = cores,
          .siblings = siblings};
}

// Sleeps once, then computes for ever.
class LateRiser final : public sim::Program {
 public:
  explicit LateRiser(Duration sleep) : sleep_(sleep) {}
  sim::Step Next(SimThread&, Time) override {
    const Duration sleep = std::exchange(sleep_, Duration(0));
    return sleep > Duration(0) ? sim::Step::Sleep(sleep) : sim::Step::Run(milliseconds(1));
  }

 private:
  Duration sleep_;
};

// Threads that compute for ever.
struct Process {
  Process(CentralHost& host, int threads, uint32_t weight) : host(host), weight(weight) {
    for (int i = 0; i < threads; ++i) {
      const pid_t first = tasks.empty() ? 0 : tasks.front()->tid();
      tasks.push_back(&host.AddTask(std::make_unique<Endless>(), weight, /*domain=*/1, first));
    }
  }
  Duration cpu_time() const {
    Duration sum{0};
    for (const SimThread* task : tasks) sum += host.machine().CpuTime(*task);
    return sum;
  }
  // How much more its best thread had than its worst.
  Duration spread() const {
    std::vector<Duration> had;
    for (const SimThread* task : tasks) had.push_back(host.machine().CpuTime(*task));
    return *std::max_element(had.begin(), had.end()) - *std::min_element(had.begin(), had.end());
  }

  CentralHost& host;
  uint32_t weight;
  std::vector<SimThread*> tasks;
};

// How many CPUs each has when all are shared by weight, and nobody can use more than it has
// threads.
std::vector<double> Shares(const std::vector<Process>& processes, double cpus) {
  std::vector<double> shares(processes.size(), -1);
  for (;;) {
    double left = cpus;
    double weights = 0;
    for (size_t i = 0; i < processes.size(); ++i) {
      if (shares[i] >= 0) left -= shares[i];
      if (shares[i] < 0) weights += processes[i].weight;
    }
    bool more = false;
    for (size_t i = 0; i < processes.size(); ++i) {
      const auto most = static_cast<double>(processes[i].tasks.size());
      if (shares[i] >= 0 || left * processes[i].weight / weights < most) continue;
      shares[i] = most;
      more = true;
    }
    if (more) continue;
    for (size_t i = 0; i < processes.size(); ++i) {
      if (shares[i] < 0) shares[i] = left * processes[i].weight / weights;
    }
    return shares;
  }
}

RC_GTEST_PROP(FairShare, ProcessesShareByWeight, ()) {
  const int siblings = *rc::gen::element(1, 2).as("siblings");
  const int cores = Draw(2, 4, "cores");
  const int slice_us = *rc::gen::element(500, 1000, 3000).as("slice, us");
  CentralHost host(Host(cores, siblings, slice_us));
  std::vector<Process> processes;
  for (int i = Draw(1, 4, "processes"); i > 0; --i) {
    const int threads = Draw(1, 7, "threads");
    processes.emplace_back(host, threads, *rc::gen::element(10, 50, 100, 200, 1000).as("weight"));
  }
  constexpr Duration time = std::chrono::seconds(2);
  host.machine().RunFor(time);
  // One CPU is the agent's.
  const std::vector<double> shares = Shares(processes, cores * siblings - 1);
  for (size_t i = 0; i < processes.size(); ++i) {
    const double cpus =
        static_cast<double>(processes[i].cpu_time().count()) / static_cast<double>(time.count());
    RC_LOG() << "process " << i << ": " << processes[i].tasks.size() << " threads of weight "
             << processes[i].weight << " have " << cpus << " CPUs, due are " << shares[i] << "\n";
    RC_ASSERT(std::abs(cpus - shares[i]) <= 0.02 * shares[i] + 0.02);
    // Its threads take turns. Time is shared between processes; which of a process's threads comes
    // first again and again, where shares are multiples of each other, nobody evens out: a tenth
    // more was seen.
    const auto nr_threads = static_cast<int64_t>(processes[i].tasks.size());
    RC_ASSERT(processes[i].spread() <=
              12 * microseconds(slice_us) + processes[i].cpu_time() / nr_threads / 4);
  }
  RC_ASSERT(host.agent().counters().repairs == 0u);
}

// What a process missed while it slept is not kept for it, or others would have nothing for as
// long.
TEST(FairShare, WhoSleptGetsNoMoreThanItsShare) {
  CentralHost host(Host(/*cores=*/2, /*siblings=*/1, /*slice_us=*/1000));
  Process busy(host, 1, 100);
  SimThread& late = host.AddTask(std::make_unique<LateRiser>(std::chrono::seconds(1)));
  host.machine().RunFor(std::chrono::seconds(1));
  ASSERT_EQ(host.machine().CpuTime(late) / milliseconds(1), 0);
  const Duration before = busy.cpu_time();
  host.machine().RunFor(milliseconds(200));
  EXPECT_NEAR(static_cast<double>((busy.cpu_time() - before) / microseconds(1)), 100'000, 3'000);
}

// Weights change while tasks run, and count from then on.
TEST(FairShare, AnotherWeightCountsAtOnce) {
  CentralHost host(Host(/*cores=*/2, /*siblings=*/1, /*slice_us=*/1000));
  Process first(host, 2, 100);
  Process second(host, 2, 100);
  host.machine().RunFor(milliseconds(100));
  for (const SimThread* task : first.tasks) {
    const ghost_status_word* const word = host.WordOf(*task);
    ASSERT_NE(word, nullptr);
    ASSERT_TRUE(host.control().UpdateTask(Gtid(word->gtid), {.weight = 300}).ok());
  }
  const Duration before = first.cpu_time();
  host.machine().RunFor(milliseconds(400));
  EXPECT_NEAR(static_cast<double>((first.cpu_time() - before) / microseconds(1)), 300'000, 9'000);
}

// Tasks that sleep, fork, die and change their affinity, some beside a host that takes CPUs.
struct Restless {
  explicit Restless(const CentralHost::Options& options, uint32_t domains)
      : random(static_cast<uint64_t>(Draw(1, 1'000'000, "seed"))),
        host(options),
        audit(host.machine()) {
    host.machine().Observe(&audit);
    habits.longest = microseconds(*rc::gen::element(300, 2000, 20000).as("steps, us"));
    habits.sleeps = static_cast<uint32_t>(Draw(0, 900, "sleeps"));
    habits.forks = true;
    for (int i = Draw(1, 20, "tasks"); i > 0; --i) AddTask(domains);
  }

  void AddTask(uint32_t domains) {
    const uint32_t domain = 1 + static_cast<uint32_t>(random.Below(domains));
    // A process is in one domain.
    pid_t process = 0;
    for (const SimThread* task : host.tasks()) {
      if (task->vm == domain && random.Chance(300)) process = task->tgid;
    }
    host.AddTask(std::make_unique<RandomTask>(host, habits, random.Next()),
                 random.Chance(500) ? 100 : 300, domain, process);
  }
  void AddNoise(Duration longest) {
    host.cpus().ForEach([&](CpuId cpu) {
      if (random.Chance(400)) return;
      auto noise = std::make_unique<HostNoise>(longest / 2, longest * 5, random.Next());
      host.machine().Wake(host.AddHostThread(cpu, std::move(noise)));
    });
  }
  void Run(int whiles) {
    for (int i = 0; i < whiles; ++i) {
      ChangeAffinity();
      host.machine().RunFor(random.Between(Duration(0), microseconds(400)));
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
  // On the one CPU that a thread may use: each of the others has a slice for each of the process's
  // own threads that go first, and each process what it may be behind, three times by weight. If
  // all CPUs are wanted so, the agent has that one for half of the time.
  Duration Bound(Duration slice) const {
    std::set<pid_t> processes;
    for (const SimThread* task : host.tasks()) processes.insert(task->tgid);
    const auto all = static_cast<int64_t>(host.tasks().size());
    const auto others = static_cast<int64_t>(processes.size()) - 1;
    return 2 * (3 * (all * (slice + microseconds(120)) + others * 10 * slice) +
                loop_timing::kSharedStay);
  }

  sim::Random random;
  RandomTask::Habits habits;
  CentralHost host;
  sim::CoreAudit audit;
};

void AssertSane(Restless& world) {
  RC_ASSERT(world.audit.enforced().time == Duration(0));
  RC_ASSERT(world.host.breaches() == 0u);
  RC_ASSERT(world.host.agent().counters().repairs == 0u);
}

RC_GTEST_PROP(FairShare, NobodyStarves, ()) {
  const int slice_us = *rc::gen::element(200, 1000).as("slice, us");
  Restless world(Host(Draw(2, 4, "cores"), *rc::gen::element(1, 2).as("siblings"), slice_us), 1);
  world.Run(2000);
  AssertSane(world);
  RC_ASSERT(world.host.LongestWait() <= world.Bound(microseconds(slice_us)));
}

RC_GTEST_PROP(FairShare, NorBesideAHostThatTakesCpus, ()) {
  const int slice_us = *rc::gen::element(200, 1000).as("slice, us");
  Restless world(Host(Draw(2, 4, "cores"), *rc::gen::element(1, 2).as("siblings"), slice_us), 1);
  world.AddNoise(microseconds(*rc::gen::element(20, 300, 5000).as("host, us")));
  world.Run(2000);
  AssertSane(world);
  RC_ASSERT(world.host.LongestWait() <=
            2 * world.Bound(microseconds(slice_us)) + milliseconds(100));
}

RC_GTEST_PROP(FairShare, TrustDomainsDoNotMeetWhateverBecomesOfTheAgent, ()) {
  Restless world(Host(Draw(2, 4, "cores"), *rc::gen::element(2, 4).as("siblings"), 1000), 3);
  for (int life = 0; life < 3; ++life) {
    world.Run(200);
    AssertSane(world);
    if (Draw(0, 1, "killed") == 1) {
      world.host.agent().Kill();
    } else {
      world.host.agent().Leave();
    }
    world.host.StartAgent();
    world.host.machine().RunFor(loop_timing::kEnterRetry * 2);
    RC_ASSERT(world.host.agent().serving());
  }
  world.Run(200);
  AssertSane(world);
}

std::vector<double> SharesIn(const Scenario& scenario) {
  const SimulationResult result = Simulation::Create(scenario, sim::Costs()).value()->Run();
  std::vector<double> shares;
  for (const SimulatedDomain& domain : result.domains)
    shares.push_back(static_cast<double>(domain.cpu_time.count()) /
                     static_cast<double>(result.time.count()));
  return shares;
}

TEST(Tutorial, ItsScenarioComesOutAsThePageSays) {
  absl::StatusOr<Scenario> scenario = LoadScenario(CORRAL_SCENARIO);
  ASSERT_TRUE(scenario.ok()) << scenario.status();
  ASSERT_EQ(scenario->policy->name, "fair_share");
  const std::vector<double> fair = SharesIn(*scenario);
  ASSERT_EQ(fair.size(), 2u);
  EXPECT_NEAR(fair[0], 1, 0.03);
  EXPECT_NEAR(fair[1], 1, 0.03);

  scenario->policy = FindPolicy("fifo_centralized").value();
  scenario->options = OptionValues::Defaults(scenario->policy->options);
  const std::vector<double> fifo = SharesIn(*scenario);
  EXPECT_NEAR(fifo[0] / fifo[1], 4, 0.3);
}

TEST(Tutorial, ItsOptionsAreChecked) {
  const PolicyInfo* const policy = FindPolicy("fair_share").value();
  OptionValues values = OptionValues::Defaults(policy->options);
  EXPECT_EQ(values.GetDuration("slice"), milliseconds(3));
  EXPECT_FALSE(values.Set("slice", "1us").ok());
  EXPECT_TRUE(values.Set("slice", "50us").ok());
}

}  // namespace
}  // namespace corral
