// SPDX-License-Identifier: Apache-2.0
// The load that search is for (SOSP'21 section 4.4): queries of three types on 2 sockets of 64
// cores with two siblings each, of which 4 cores share an L3.
//
//   A  computes and needs memory: workers are bound to the socket that has the data
//   B  computes little, reads from a disk in between: workers may run anywhere
//   C  computes for long: workers may run anywhere
//
// The paper gives no times; these are guesses of the right order (hundreds of microseconds, a flash
// disk, milliseconds), and each query takes between half and one and a half times as long. A has
// 40 % of the CPU time, B 10 %, C 50 %. What it costs to go on in other caches is that of
// kernel/sim/costs.h, the same for all.
//
// A's footprint is ten times that which the costs are for, 100 us at another L3: the paper found
// that to wait for 100 us is better than to go there.
//
// The same distributions, not the same numbers, for the policy, on the simulated kernel, whose
// agent has one of the 256 CPUs, and for the reference schedulers of baselines/, which have all.
// Units: ns.
#ifndef CORRAL_TESTS_SIM_QUERIES_H_
#define CORRAL_TESTS_SIM_QUERIES_H_

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernel/sim/costs.h"
#include "kernel/types.h"
#include "tests/sim/baselines/world.h"

namespace corral {

struct QueryType {
  const char* name;
  Duration work;  // in the mean, of a core for oneself
  Duration disk;
  bool bound;  // half of the queries to each socket
  int workers;
  double share;  // of the CPU time
  int footprint;
};

struct Queries {
  static constexpr int kCores = 128;
  static constexpr int kCoresPerL3 = 4;
  static constexpr int kCoresPerNode = 64;
  static constexpr std::array<QueryType, 3> kTypes = {{
      {"A", std::chrono::microseconds(300), Duration(0), true, 512, 0.4, 10},
      {"B", std::chrono::microseconds(200), std::chrono::microseconds(100), false, 512, 0.1, 1},
      {"C", std::chrono::milliseconds(3), Duration(0), false, 512, 0.5, 1},
  }};

  double load = 0.7;  // of what all siblings can do together
  Duration time = std::chrono::milliseconds(200);
  uint64_t seed = 1;

  // From one query of the type to the next, for each group of workers.
  Duration Interval(const QueryType& type, const sim::Costs& costs) const;
};

struct QueryResult {
  struct Type {
    uint64_t done = 0;
    uint64_t unfinished = 0;
    Duration p50{0};
    Duration p99{0};
  };
  std::array<Type, 3> types;
};

QueryResult RunPolicy(const Queries& load, const sim::Costs& costs,
                      const std::vector<std::pair<std::string, std::string>>& options);
QueryResult RunBaseline(const Queries& load, const sim::Costs& costs,
                        std::unique_ptr<baselines::Scheduler> scheduler);

}  // namespace corral

#endif  // CORRAL_TESTS_SIM_QUERIES_H_
