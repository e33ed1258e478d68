// SPDX-License-Identifier: Apache-2.0
// Properties of the secure VM policy over random machines, domains and vCPUs that block, wake,
// yield, to each other too, die and are pushed aside.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <random>
#include <set>

#include "tests/policies/world.h"

namespace corral::testing {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

struct Script {
  uint32_t seed;
  int cores;
  int domains;
  int max_vcpus;
  Duration tenure;
  Duration hand_over;
  size_t queue_room;
  Offer sharing;
  bool co_running;
  bool deaths;
  bool rebalancing = false;
  bool faults = false;
};

Script Draw(bool deaths, size_t room) {
  return {.seed = *rc::gen::arbitrary<uint32_t>().as("seed"),
          .cores = *rc::gen::inRange(1, 4).as("cores"),
          .domains = *rc::gen::inRange(1, 7).as("domains"),
          .max_vcpus = *rc::gen::inRange(1, 6).as("vCPUs of a domain, at most"),
          .tenure = milliseconds(*rc::gen::inRange(1, 20).as("tenure, ms")),
          .hand_over = microseconds(*rc::gen::inRange(0, 200).as("hand-over, us")),
          .queue_room = room,
          .sharing = *rc::gen::element(Offer::kNone, Offer::kMachine).as("sharing"),
          .co_running = *rc::gen::arbitrary<bool>().as("co-running"),
          .deaths = deaths,
          .rebalancing = deaths && *rc::gen::arbitrary<bool>().as("rebalancing")};
}

// Random events on random tasks until `end`, from several sources with different paces.
class Chaos {
 public:
  Chaos(World& world, const Script& script)
      : world_(world), script_(script), random_(script.seed) {}

  void Start(Duration end) {
    for (int d = 0; d < script_.domains; ++d) {
      const int vcpus = Pick(1, script_.max_vcpus);
      for (int v = 0; v < vcpus; ++v) {
        world_.kernel().Attach(2 + static_cast<uint32_t>(d), Pick(0, 3) != 0);
      }
    }
    for (Duration at{0}; at < end; at += microseconds(Pick(1, 3000))) {
      world_.At(at, [this] { OneEvent(); });
    }
  }

 private:
  int Pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  void OneEvent() {
    const std::vector<Gtid> tasks = world_.kernel().Tasks();
    if (tasks.empty()) return;
    const Gtid task = tasks[Pick(0, static_cast<int>(tasks.size()) - 1)];
    FakeKernel& kernel = world_.kernel();
    if (script_.faults && Pick(0, 3) == 0) return OneFault(task);
    switch (Pick(0, 12)) {
      case 0:
      case 1:
      case 2:
        return kernel.Block(task);
      case 3:
        return kernel.Yield(task);
      case 4:
        return kernel.HostTakes(CpuId(Pick(0, 2 * script_.cores - 1)));
      case 5:
        if (!script_.deaths) return;
        kernel.Die(task, Pick(0, 1) ? GHOST_MSG_TASK_DEAD : GHOST_MSG_TASK_DEPARTED);
        kernel.Attach(2 + static_cast<uint32_t>(Pick(0, script_.domains - 1)), Pick(0, 1));
        return;
      case 6:
        kernel.YieldTo(task, tasks[Pick(0, static_cast<int>(tasks.size()) - 1)]);
        return;
      default:
        return kernel.Wake(task);
    }
  }

  // What the class may do to an agent that did nothing wrong.
  void OneFault(Gtid task) {
    FakeKernel& kernel = world_.kernel();
    const int cpu = Pick(0, 2 * script_.cores - 1);
    switch (Pick(0, 5)) {
      case 0:
        kernel.ClassRuns(task, CpuId(cpu));  // without a word
        return;
      case 1:
        if (kernel.ClassRuns(task, CpuId(cpu))) {
          kernel.SendCoreRescued(CoreId(static_cast<uint32_t>(cpu / 2)));
        }
        return;
      case 2:
        // A task on a CPU does not change its domain.
        if (!kernel.IsRunning(task)) {
          kernel.ChangeDomain(task, 2 + static_cast<uint32_t>(Pick(0, script_.domains - 1)));
        }
        return;
      case 3: {
        const uint32_t state = static_cast<uint32_t>(Pick(GHOST_TXN_ABORTED, GHOST_TXN_POISONED));
        if (state != GHOST_TXN_UNSUPPORTED_VERSION) kernel.FailNextCommit(state);
        return;
      }
      case 4:
        return kernel.FailNextCall(absl::InternalError("a call that failed"));
      default:
        kernel.RefuseCpu(task, true);
        world_.At(world_.now() + milliseconds(Pick(1, 20)),
                  [this, task] { world_.kernel().RefuseCpu(task, false); });
        return;
    }
  }

  World& world_;
  const Script script_;
  std::mt19937 random_;
};

World::Options OptionsOf(const Script& s) {
  return {.machine = "numa:1 core:" + std::to_string(s.cores) + " pu:2",
          .kernel = {.queue_room = s.queue_room},
          .tenure = s.tenure,
          .hand_over = s.hand_over,
          .sharing = s.sharing,
          .co_running = s.co_running,
          .rebalancing = s.rebalancing};
}

void CheckSafety(World& world) {
  RC_ASSERT(world.breaches() == 0);
  RC_ASSERT(world.kernel().invalid_targets() == 0u);
  RC_ASSERT(world.counters().repairs == 0u);
}

// n domains of equal weight on a core: while one with a runnable vCPU waits, each other one has at
// most a turn that is its due, one to catch up with, and one because the waiting domain was ahead:
// 3(n-1)(T + hand-over). In step with other cores turns may last half as long again, and both the
// waiting domain and another may be ahead by a turn and a half more: 6(n-1)(T + hand-over).
RC_GTEST_PROP(SecureVmProperty, DomainsWaitNoLongerThanPromised, ()) {
  const Script script = Draw(/*deaths=*/false, 1000);
  World world(OptionsOf(script));
  Chaos chaos(world, script);
  chaos.Start(milliseconds(400));
  world.RunUntil(milliseconds(400));
  CheckSafety(world);
  // How many domains there are on each core; nothing moves in this property.
  std::map<int, std::set<uint32_t>> domains;
  for (const Gtid t : world.kernel().Tasks()) {
    domains[world.CoreOf(t)].insert(world.kernel().word(t).domain);
  }
  for (const auto& [core, set] : domains) {
    const int64_t n = static_cast<int64_t>(set.size());
    // The core itself is handed over once for the domain too; a denied sibling looks again after a
    // moment.
    const Duration eps = script.hand_over + microseconds(5);
    const int turns = script.co_running ? 6 : 3;
    const Duration bound = turns * (n - 1) * (script.tenure + eps) + 2 * eps;
    for (const uint32_t d : set) {
      RC_ASSERT(world.LongestDomainWait(d, core).count() <= bound.count());
    }
  }
}

// After the chaos every runnable vCPU runs within a full round.
RC_GTEST_PROP(SecureVmProperty, NoVcpuStarves, ()) {
  const Script script = Draw(/*deaths=*/true, 1000);
  World world(OptionsOf(script));
  Chaos chaos(world, script);
  chaos.Start(milliseconds(300));
  world.RunUntil(milliseconds(300));
  std::map<uint64_t, Duration> before;
  for (const Gtid t : world.kernel().Tasks()) before[t.value()] = world.RunTime(t);
  const int64_t rounds = static_cast<int64_t>(before.size()) + script.domains + 2;
  world.RunFor(rounds * script.domains * (script.tenure + 2 * script.hand_over));
  for (const Gtid t : world.kernel().Tasks()) {
    if (!(world.kernel().word(t).flags & GHOST_SW_RUNNABLE)) continue;
    RC_ASSERT(world.RunTime(t) > before[t.value()]);
  }
  CheckSafety(world);
}

// Queues with room for three messages: the agent lives on status words, and still loses nobody.
RC_GTEST_PROP(SecureVmProperty, OverflowsLoseNobody, ()) {
  const Script script = Draw(/*deaths=*/true, 3);
  World world(OptionsOf(script));
  Chaos chaos(world, script);
  chaos.Start(milliseconds(200));
  world.RunUntil(milliseconds(200));
  std::map<uint64_t, Duration> before;
  for (const Gtid t : world.kernel().Tasks()) before[t.value()] = world.RunTime(t);
  world.RunFor(std::chrono::seconds(3));
  for (const Gtid t : world.kernel().Tasks()) {
    if (!(world.kernel().word(t).flags & GHOST_SW_RUNNABLE)) continue;
    RC_ASSERT(world.RunTime(t) > before[t.value()]);
  }
  CheckSafety(world);
}

// The class runs tasks by itself, refuses commits, fails calls, and changes domains: still nobody
// is lost.
RC_GTEST_PROP(SecureVmProperty, FaultsLoseNobody, ()) {
  Script script = Draw(/*deaths=*/true, *rc::gen::element<size_t>(3, 56).as("queue room"));
  script.faults = true;
  World world(OptionsOf(script));
  Chaos chaos(world, script);
  chaos.Start(milliseconds(300));
  world.RunUntil(milliseconds(300));
  std::map<uint64_t, Duration> before;
  for (const Gtid t : world.kernel().Tasks()) before[t.value()] = world.RunTime(t);
  world.RunFor(std::chrono::seconds(5));
  for (const Gtid t : world.kernel().Tasks()) {
    if (!(world.kernel().word(t).flags & GHOST_SW_RUNNABLE)) continue;
    RC_ASSERT(world.RunTime(t) > before[t.value()]);
  }
  RC_ASSERT(world.breaches() == 0);
  RC_ASSERT(world.counters().repairs == 0u);
}

// Agents come and go in the middle of it.
RC_GTEST_PROP(SecureVmProperty, TakeoversLoseNobody, ()) {
  const Script script = Draw(/*deaths=*/true, 56);
  World world(OptionsOf(script));
  Chaos chaos(world, script);
  chaos.Start(milliseconds(300));
  for (int ms = 40; ms < 300; ms += 70) {
    world.At(milliseconds(ms), [&] { world.StopAgent(); });
    world.At(milliseconds(ms + 15), [&] { world.StartAgent(); });
  }
  world.RunUntil(milliseconds(300));
  std::map<uint64_t, Duration> before;
  for (const Gtid t : world.kernel().Tasks()) before[t.value()] = world.RunTime(t);
  world.RunFor(std::chrono::seconds(3));
  for (const Gtid t : world.kernel().Tasks()) {
    if (!(world.kernel().word(t).flags & GHOST_SW_RUNNABLE)) continue;
    RC_ASSERT(world.RunTime(t) > before[t.value()]);
  }
  CheckSafety(world);
}

}  // namespace
}  // namespace corral::testing
