// SPDX-License-Identifier: Apache-2.0
// The load that snap is for (SOSP'21 section 4.3): six clients that send messages of 64 B and six
// that send 64 kB, each through a worker of its own; perhaps beside batch threads that compute, the
// antagonists.
//
// A round trip: the worker sends the message, it is away, and the worker receives the answer. A
// worker that has nothing to do sleeps. Messages come at random, whether earlier ones are answered
// or not.
//
// The paper's times and rates we do not have. These are guesses after Snap (SOSP'19):
//   work   1 us for a message of 64 B; 14 us for 64 kB, which is 38 Gbit/s. Each takes between half
//          and one and a half times as long.
//   away   10 us: wire, NICs, and another machine whose workers spin; for 64 kB 50 us, of which
//          they work for 28 and the wire is 10, at 100 Gbit/s.
//   rates  10,000 messages of 64 B a second and client; of 64 kB as many as make a worker busy for
//          70 % of the time: 25,000, for all six together 79 % of 100 Gbit/s. Quotas matter only to
//          those that are busy: at 50 % there is nothing to see.
//
// The same arrivals and the same work for the policy, on the simulated kernel, whose agent has one
// of the 20 CPUs, and for the reference schedulers of baselines/, which have all. CPUs are cores:
// what siblings cost is no matter of quotas. Units: ns. Deterministic by seed. Not thread-safe.
#ifndef CORRAL_TESTS_SIM_PACKETS_H_
#define CORRAL_TESTS_SIM_PACKETS_H_

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernel/sim/costs.h"
#include "kernel/types.h"
#include "tests/sim/baselines/result.h"
#include "tests/sim/baselines/world.h"

namespace corral {

struct MessageSize {
  const char* name;
  Duration work;  // in the mean: to send, and to receive
  Duration away;
  Duration interval;  // from one message of a client to the next, in the mean
};

struct Packets {
  static constexpr int kCpus = 20;
  static constexpr int kClients = 6;  // of each size
  static constexpr std::array<MessageSize, 2> kSizes = {{
      {"64 B", std::chrono::microseconds(1), std::chrono::microseconds(10),
       std::chrono::microseconds(100)},
      {"64 kB", std::chrono::microseconds(14), std::chrono::microseconds(50),
       std::chrono::microseconds(40)},
  }};

  int antagonists = 0;
  Duration time = std::chrono::seconds(2);
  uint64_t seed = 1;
};

struct PacketsResult {
  struct Size {
    baselines::Samples round_trips;
    uint64_t unfinished = 0;
  };
  std::array<Size, 2> sizes;
  Duration batch_time{0};  // CPU time of the antagonists
};

PacketsResult RunPolicy(const Packets& load, const sim::Costs& costs);
PacketsResult RunBaseline(const Packets& load, std::unique_ptr<baselines::Scheduler> scheduler);

}  // namespace corral

#endif  // CORRAL_TESTS_SIM_PACKETS_H_
