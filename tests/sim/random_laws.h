// SPDX-License-Identifier: Apache-2.0
// What the laws of all centralized policies with a queue have in common (central_laws.h): random
// tasks, and that the laws hold while nobody interferes, while affinities change, and beside a host
// that takes CPUs. Tests only; within a property of rapidcheck.
#ifndef CORRAL_TESTS_SIM_RANDOM_LAWS_H_
#define CORRAL_TESTS_SIM_RANDOM_LAWS_H_

#include "agent/runtime/loop_timing.h"
#include "tests/sim/central_laws.h"
#include "tests/sim/draw.h"

namespace corral {

// Up to `most` tasks, whose steps take up to one of `steps`, in us.
inline void DrawTasks(int most, std::initializer_list<int> steps, CentralSetting& setting) {
  setting.tasks = Draw(1, most, "tasks");
  setting.seed = static_cast<uint64_t>(Draw(1, 1'000'000, "seed"));
  setting.habits.longest = std::chrono::microseconds(
      *rc::gen::elementOf(std::vector<int>(steps)).as("longest step, us"));
  setting.habits.sleeps = static_cast<uint32_t>(Draw(0, 900, "sleeps"));
  setting.habits.forks = true;
}

inline void AssertLaws(CentralLaws& world) {
  RC_ASSERT(world.judge.broken() == "");
  RC_ASSERT(world.host.breaches() == 0u);
  RC_ASSERT(world.host.agent().counters().repairs == 0u);
}

inline void AssertLawsHold(const CentralSetting& setting, int whiles) {
  CentralLaws world(setting);
  world.AddTasks();
  world.Run(whiles);
  AssertLaws(world);
  RC_ASSERT(world.LongestWait() <= world.Bound());
}

inline void AssertLawsHoldWithAffinities(const CentralSetting& setting, int whiles) {
  CentralLaws world(setting);
  world.AddTasks();
  world.Run(whiles, [&] { world.ChangeAffinity(); });
  AssertLaws(world);
  RC_ASSERT(world.LongestWait() <= world.Bound());
}

// The host uses CPUs for a moment or for long, also that of the agent. Whom it pushes aside waits
// behind it, until the class takes that back (ghost_guard.bpf.h).
inline void AssertLawsHoldBesideAHost(CentralSetting setting, int whiles) {
  setting.tolerance = 5 * loop_timing::kLookAround;
  CentralLaws world(setting);
  world.AddTasks();
  world.AddNoise(std::chrono::microseconds(*rc::gen::element(20, 300, 5000).as("host, us")));
  world.Run(whiles);
  AssertLaws(world);
  RC_ASSERT(world.LongestWait() <= world.Bound() * 2 + std::chrono::milliseconds(100));
}

}  // namespace corral

#endif  // CORRAL_TESTS_SIM_RANDOM_LAWS_H_
