// SPDX-License-Identifier: Apache-2.0
// Round trips of packets under snap and under MicroQuanta (SOSP'21 section 4.3), alone and beside
// 40 antagonists: what a blackout of 0.1 ms costs those who have much to move, and what an agent
// costs those who have little. CORRAL_COSTS scales the kernel's costs, in percent.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "tests/sim/baselines/baselines.h"
#include "tests/sim/packets.h"

namespace corral {
namespace {

using std::chrono::microseconds;

constexpr size_t kSmall = 0;
constexpr size_t kLarge = 1;

sim::Costs Costs() {
  const char* const percent = getenv("CORRAL_COSTS");
  return sim::Scaled(sim::Costs(), percent == nullptr ? 100 : atoi(percent));
}

std::unique_ptr<baselines::Scheduler> MicroQuanta(const sim::Costs& costs, Duration quota,
                                                  Duration wakeup) {
  return baselines::MicroQuanta({.quota = quota,
                                 .context_switch = costs.context_switch,
                                 .core_migration = costs.core_migration,
                                 .wakeup = wakeup});
}

void Print(const char* name, const Packets& load, const PacketsResult& result) {
  printf("%-26s", name);
  for (size_t i = 0; i < result.sizes.size(); ++i) {
    printf(" %s:", Packets::kSizes[i].name);
    for (const int per_10000 : {5000, 9900, 9990, 9999}) {
      const Duration time = result.sizes[i].round_trips.Percentile(per_10000);
      printf(" %6.1f", static_cast<double>(time.count()) / 1000);
    }
    printf(" us,");
  }
  const int64_t all = (load.time * Packets::kCpus).count() / 1000;
  printf(" antagonists: %lld permille of the CPUs\n",
         static_cast<long long>(result.batch_time.count() / all));
  fflush(stdout);
}

class Snap : public ::testing::TestWithParam<int> {};

TEST_P(Snap, HasShorterTailsWhereMicroQuantaBlacksOut) {
  const sim::Costs costs = Costs();
  const Packets load = {.antagonists = GetParam()};
  printf("%d antagonists: p50, p99, p99.9, p99.99\n", load.antagonists);
  const PacketsResult quanta = RunBaseline(load, MicroQuanta(costs, microseconds(900), costs.kick));
  Print("MicroQuanta", load, quanta);
  const PacketsResult nearby =
      RunBaseline(load, MicroQuanta(costs, microseconds(900), Duration(0)));
  Print("MicroQuanta, no interrupt", load, nearby);
  const PacketsResult unlimited =
      RunBaseline(load, MicroQuanta(costs, microseconds(1000), costs.kick));
  Print("MicroQuanta, no blackout", load, unlimited);
  const PacketsResult snap = RunPolicy(load, costs);
  Print("snap", load, snap);

  const auto at = [](const PacketsResult& result, size_t size, int per_10000) {
    return result.sizes[size].round_trips.Percentile(per_10000);
  };
  EXPECT_LT(at(snap, kLarge, 9990), at(quanta, kLarge, 9990));
  EXPECT_LE(at(snap, kSmall, 9900) * 10, at(quanta, kSmall, 9900) * 12);
  // Nor does it depend on what a wakeup costs MicroQuanta, which is a guess.
  EXPECT_LE(at(snap, kSmall, 9900) * 10, at(nearby, kSmall, 9900) * 12);
  // It is the blackouts.
  EXPECT_LT(at(unlimited, kLarge, 9990), at(quanta, kLarge, 9990));
  // And nobody looks good by leaving some unanswered.
  for (const PacketsResult* result : {&quanta, &nearby, &unlimited, &snap}) {
    for (const PacketsResult::Size& size : result->sizes) {
      EXPECT_GT(size.round_trips.size(), 100'000u);
      EXPECT_LE(size.unfinished, 200u);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, Snap, ::testing::Values(0, 40),
                         [](const auto& load) { return load.param == 0 ? "Quiet" : "Loaded"; });

}  // namespace
}  // namespace corral
