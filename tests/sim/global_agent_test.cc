// SPDX-License-Identifier: Apache-2.0
// How many CPUs one agent can serve (SOSP'21 section 4.1, figure 5): the decisions per second of a
// global agent against the number of its CPUs, each of which needs a new one every 10 us.
//
// The agent's costs are the paper's for a message and for a commit, by CPU of a group
// (kernel/sim/costs.h). What the simulator cannot know, and the real figure is made of as well:
//   - what our own code takes for a turn, a message and a decision; here the agent thinks in no
//     time, so that these are ceilings. tests/bench/overheads measures this very agent natively,
//     without the class's part (decision.central_agent) and with it (decision.central), which is
//     the lower ceiling of the two;
//   - what it costs to reach lines of memory that other CPUs, or those of another socket, have just
//     written. A remote agent is here one whose memory is remote: slower by Costs::remote_speed,
//     a guess, whatever it does, and the same for each distance;
//   - how much a sibling takes from this agent, whose loop is no mixed load: smt_speed is one
//     number for all of them.
// So the shape is a result (it rises by CPU, bends, and does not fall behind that), and the bends'
// places with the paper's costs; the distances between the lines are assumptions made visible.
//
// The picture is written to CORRAL_CHART_DIR.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "tests/sim/central_host.h"
#include "tests/sim/line_chart.h"

namespace corral {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Duration kWork = microseconds(10);
constexpr Duration kTime = milliseconds(20);
constexpr int kCpus[] = {1, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48, 56};

// Wants a decision each time.
class Yields final : public sim::Program {
  sim::Step Next(sim::SimThread&, Time) override {
    works_ = !works_;
    return works_ ? sim::Step::Run(kWork) : sim::Step::Yield();
  }
  bool works_ = false;
};

enum class Place { kOwnCore, kSharedCore, kRemoteSocket };

// In millions a second.
double Throughput(int cpus, Place place) {
  const bool remote = place == Place::kRemoteSocket;
  CentralHost host({.cores = cpus,
                    .foreign_siblings = 2,
                    .foreign_node = remote ? 1 : 0,
                    .agent_memory_node = remote ? 0 : -1,
                    .housekeeping = CpuSet({cpus})});
  if (place == Place::kSharedCore) {
    host.machine().Wake(host.AddHostThread(CpuId(cpus + 1), std::make_unique<Endless>()));
  }
  for (int i = 0; i < 2 * cpus; ++i) host.AddTask(std::make_unique<Yields>());
  host.machine().RunFor(milliseconds(2));
  const uint64_t before = host.agent().counters().commits;
  host.machine().RunFor(kTime);
  const LoopCounters counters = host.agent().counters();
  EXPECT_EQ(counters.repairs, 0u);
  EXPECT_EQ(host.agent().central().place(), CpuId(cpus));
  return static_cast<double>(counters.commits - before) * 1000 / static_cast<double>(kTime.count());
}

LineChart::Line Curve(const char* name, Place place) {
  LineChart::Line line{.name = name};
  printf("%-24s", name);
  for (const int cpus : kCpus) {
    line.points.emplace_back(cpus, Throughput(cpus, place));
    printf(" %d: %.3f", cpus, line.points.back().second);
  }
  printf("\n");
  return line;
}

double At(const LineChart::Line& line, int cpus) {
  for (const auto& [x, y] : line.points) {
    if (x == cpus) return y;
  }
  ADD_FAILURE() << "no measurement with " << cpus << " CPUs";
  return 0;
}

// Where each decision waits for the agent, and it reads a message and commits for a further CPU.
double Ceiling(const sim::Costs& costs) {
  return 1000 / static_cast<double>((costs.message_read + costs.commit_next).count());
}

// Rises with the CPUs up to what one agent can do, and then stays.
void ExpectToBendOnce(const LineChart::Line& line, double ceiling) {
  EXPECT_GT(At(line, 4), At(line, 1) * 4 * 0.88) << line.name << ": it has time for 4 CPUs";
  double most = 0;
  for (const auto& [cpus, rate] : line.points) {
    EXPECT_GE(rate, most * 0.97) << line.name << " falls at " << cpus << " CPUs";
    most = std::max(most, rate);
  }
  EXPECT_LE(most, ceiling * 1.001) << line.name;
  EXPECT_GE(most, ceiling * 0.9) << line.name << ": a turn costs more than its messages and CPUs";
}

TEST(GlobalAgent, ServesAsManyCpusAsItHasTimeFor) {
  const sim::Costs costs;
  const LineChart::Line own = Curve("on a core of its own", Place::kOwnCore);
  const LineChart::Line shared = Curve("beside a busy sibling", Place::kSharedCore);
  const LineChart::Line remote = Curve("on the other socket", Place::kRemoteSocket);
  ExpectToBendOnce(own, Ceiling(costs));
  ExpectToBendOnce(shared, Ceiling(costs) * costs.smt_speed / 1000);
  ExpectToBendOnce(remote, Ceiling(costs) * costs.remote_speed / 1000);

  const char* const dir = getenv("CORRAL_CHART_DIR");
  if (dir == nullptr) return;
  std::ofstream file(std::string(dir) + "/global-agent.svg");
  file << ToSvg({.title = "fifo_centralized, a decision per CPU every 10 us, simulated",
                 .x = {.title = "CPUs that it serves", .marks = {0, 8, 16, 24, 32, 40, 48, 56}},
                 .y = {.title = "million decisions a second", .marks = {0, 0.5, 1, 1.5, 2}},
                 .lines = {own, shared, remote}});
  EXPECT_TRUE(file.flush());
}

}  // namespace
}  // namespace corral
