// SPDX-License-Identifier: Apache-2.0
// Tail latencies under search and under a fair scheduler for each CPU (SOSP'21 section 4.4): what
// holds at which load, with the usual costs, with half of them and with one and a half times.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <initializer_list>
#include <memory>
#include <utility>

#include "tests/sim/baselines/baselines.h"
#include "tests/sim/queries.h"

namespace corral {
namespace {

using Balancing = baselines::FairOptions::Balancing;

baselines::FairOptions FairIn(const sim::Costs& costs, Balancing balancing) {
  return {.balancing = balancing,
          .tick = costs.tick,
          .context_switch = costs.context_switch,
          .core_migration = costs.core_migration,
          .l3_migration = costs.l3_migration,
          .node_migration = costs.node_migration};
}

void Print(const char* name, const QueryResult& result) {
  printf("%-34s", name);
  for (size_t i = 0; i < 3; ++i) {
    const QueryResult::Type& type = result.types[i];
    printf("  %s: %6.0f %6.0f us, %llu done %llu open", Queries::kTypes[i].name,
           static_cast<double>(type.p50.count()) / 1000,
           static_cast<double>(type.p99.count()) / 1000, (unsigned long long)type.done,
           (unsigned long long)type.unfinished);
  }
  printf("\n");
  fflush(stdout);
}

double Ratio(Duration a, Duration b) {
  return static_cast<double>(a.count()) / static_cast<double>(b.count());
}

// A load, and which part of a fair scheduler's p99 is to be left of A's and B's. With other seeds
// parts differ: of A's 0.58 and 0.59 instead of 0.82 (costs 100 %, load 0.9) where queues of the
// fair scheduler build up sooner, and 0.62 of A's and 0.68 of B's instead of 0.6 (150 %, 0.9).
struct Point {
  int load;  // %
  double a;
  double b;
};

// What holds at all of them: nobody is worse off, and nothing is lost of what gets done.
void Compare(int percent, std::initializer_list<Point> points) {
  const sim::Costs costs = sim::Scaled(sim::Costs(), percent);
  for (const Point& point : points) {
    // Close to the limit queues take their time to build up.
    const Queries queries = {.load = point.load / 100.0,
                             .time = std::chrono::milliseconds(point.load < 90 ? 100 : 200)};
    const QueryResult fair =
        RunBaseline(queries, costs, baselines::FairPerCpu(FairIn(costs, Balancing::kDomains)));
    const QueryResult search = RunPolicy(queries, costs, {});
    printf("costs %d %%, load %.2f\n", percent, queries.load);
    Print("fair", fair);
    Print("search", search);
    const std::array<double, 3> most = {point.a, point.b, 1.05};
    for (size_t type = 0; type < 3; ++type) {
      const QueryResult::Type& ours = search.types[type];
      const double ratio = Ratio(ours.p99, fair.types[type].p99);
      printf("%s %+.0f %%  ", Queries::kTypes[type].name, (ratio - 1) * 100);
      EXPECT_LE(ratio, most[type]) << Queries::kTypes[type].name << " at load " << queries.load;
      EXPECT_GE(static_cast<double>(ours.done),
                static_cast<double>(ours.done + ours.unfinished) * 0.94);
      EXPECT_GE(static_cast<double>(ours.done), 0.97 * static_cast<double>(fair.types[type].done));
    }
    printf("\n");
  }
}

// The paper has 40 to 45 % less for A and B. So it is here where a fair scheduler leaves queues
// beside idle CPUs (from a load of 0.9 on), or cores shared beside idle ones (with costs of 150 %),
// but not everywhere. Two reasons. Where all cores have to be shared no query can be faster than a
// sibling is, and one in a hundred of A takes 720 us there, with costs of 100 %, whoever schedules;
// where few queries wait a fair scheduler is close to that. And where a core is busy for less than
// that, both find an idle one.
TEST(Queries, TailsWithHalfTheCosts) {
  Compare(50,
          {{50, 1.05, 1.05}, {70, 1.05, 1.05}, {80, 1.05, 0.8}, {90, 0.6, 0.6}, {95, 0.6, 0.6}});
}
TEST(Queries, Tails) {
  Compare(100,
          {{50, 0.8, 0.8}, {70, 0.9, 0.9}, {80, 1.05, 1.05}, {90, 0.85, 0.6}, {95, 0.6, 0.75}});
}
TEST(Queries, TailsWithMoreCosts) {
  Compare(150, {{50, 0.8, 0.6}, {70, 0.6, 0.6}, {80, 0.6, 0.6}, {90, 0.6, 0.6}, {95, 0.75, 0.6}});
}

// How much of it is the model's: fair schedulers of newer kernels, and one that balances at once.
TEST(Queries, OtherFairSchedulersAreNoBetter) {
  for (const int percent : {50, 100, 150}) {
    const sim::Costs costs = sim::Scaled(sim::Costs(), percent);
    const Queries queries = {.load = 0.9, .time = std::chrono::milliseconds(200)};
    printf("costs %d %%, load %.2f\n", percent, queries.load);
    baselines::FairOptions newer = FairIn(costs, Balancing::kDomains);
    newer.newidle_threshold = Duration(0);
    baselines::FairOptions often = FairIn(costs, Balancing::kDomains);
    often.tick = std::chrono::milliseconds(1);
    const baselines::FairOptions at_once = FairIn(costs, Balancing::kAtOnce);
    const QueryResult search = RunPolicy(queries, costs, {});
    Print("search", search);
    const std::pair<const char*, const baselines::FairOptions*> fairs[] = {
        {"fair, takes whenever it runs dry", &newer},
        {"fair, ticks of 1 ms", &often},
        {"fair, if it balanced at once", &at_once}};
    for (const auto& [name, options] : fairs) {
      const QueryResult fair = RunBaseline(queries, costs, baselines::FairPerCpu(*options));
      Print(name, fair);
      EXPECT_LE(Ratio(search.types[0].p99, fair.types[0].p99), 1.0) << name;
    }
  }
}

TEST(Queries, PlacementMatters) {
  for (const int percent : {50, 100, 150}) {
    const sim::Costs costs = sim::Scaled(sim::Costs(), percent);
    const Queries queries = {.load = 0.95, .time = std::chrono::milliseconds(60)};
    const QueryResult search = RunPolicy(queries, costs, {});
    const QueryResult anywhere = RunPolicy(queries, costs, {{"placement", "anywhere"}});
    const QueryResult nearest = RunPolicy(queries, costs, {{"placement", "nearest"}});
    const QueryResult ordered = RunPolicy(queries, costs, {{"locality", "1us"}});
    printf("costs %d %%, load %.2f\n", percent, queries.load);
    Print("search", search);
    Print("search, anywhere", anywhere);
    Print("search, nearest", nearest);
    Print("search, strictly by runtime", ordered);
    EXPECT_GT(anywhere.types[0].p99, search.types[0].p99);
  }
}

}  // namespace
}  // namespace corral
