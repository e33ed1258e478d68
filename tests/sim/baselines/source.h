// SPDX-License-Identifier: Apache-2.0
// Open-loop requests of a domain, and the workers that have none. The world's own. Units: ns.
// Not thread-safe.
#ifndef CORRAL_TESTS_SIM_BASELINES_SOURCE_H_
#define CORRAL_TESTS_SIM_BASELINES_SOURCE_H_

#include <deque>
#include <optional>
#include <vector>

#include "tests/sim/baselines/world.h"

namespace corral::baselines {

struct Request {
  Time arrived;
  Duration work;
  std::optional<Duration> rest;  // to do when it will have been away
};

struct Source {
  int domain = 0;
  sim::Random random;
  Duration mean_interval{};
  Service service;
  Duration disk{0};
  Duration away{0};
  std::deque<Request> queue;
  std::vector<Thread*> free;
};

}  // namespace corral::baselines

#endif  // CORRAL_TESTS_SIM_BASELINES_SOURCE_H_
