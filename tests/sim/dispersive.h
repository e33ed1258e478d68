// SPDX-License-Identifier: Apache-2.0
// The load that Shinjuku is for (SOSP'21 section 4.2): requests that arrive at random, 99.5 % of 4
// us and 0.5 % of 10 ms, for 200 workers on 20 CPUs; beside them, perhaps, batch threads.
//
// The same arrivals and the same work for a centralized policy, on the simulated kernel with 21
// CPUs of which the agent has one, and for the reference schedulers of baselines/. Units: ns.
#ifndef CORRAL_TESTS_SIM_DISPERSIVE_H_
#define CORRAL_TESTS_SIM_DISPERSIVE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernel/sim/costs.h"
#include "kernel/types.h"
#include "tests/sim/baselines/world.h"

namespace corral {

struct Dispersive {
  static constexpr int kCpus = 20;
  static constexpr int kWorkers = 200;
  static constexpr Duration kShort = std::chrono::microseconds(4);
  static constexpr Duration kLong = std::chrono::milliseconds(10);
  static constexpr uint32_t kLongPermille = 5;

  double load = 0.5;  // of the CPUs, if nothing cost anything
  Duration time = std::chrono::milliseconds(500);
  // One of which the first 400 ms ask for as much as the load says, within 1 %: with others it may
  // be 4 % more or less, because few requests are long.
  uint64_t seed = 12;
  int batch = 0;  // threads that compute

  // From one request to the next, in the mean.
  Duration Interval() const;
};

struct DispersiveResult {
  uint64_t done = 0;
  uint64_t unfinished = 0;
  Duration p50{0};
  Duration p99{0};
  Duration p999{0};
  Duration batch_time{0};  // CPU time of the batch threads
  Duration batch_work{0};  // without what switches cost them
  Duration idle{0};        // of the 20 CPUs
};

DispersiveResult RunPolicy(const Dispersive& load, const sim::Costs& costs,
                           const std::string& policy,
                           const std::vector<std::pair<std::string, std::string>>& options);
DispersiveResult RunBaseline(const Dispersive& load,
                             std::unique_ptr<baselines::Scheduler> scheduler);

}  // namespace corral

#endif  // CORRAL_TESTS_SIM_DISPERSIVE_H_
