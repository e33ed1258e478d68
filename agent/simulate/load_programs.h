// SPDX-License-Identifier: Apache-2.0
// What the vCPUs of a simulated domain do (ScenarioLoad): compute, compute and sleep, fight for a
// spin lock, take turns with each other, or serve requests that arrive whether the vCPUs get a CPU
// or not. And percentiles of what was measured meanwhile.
//
// Belongs to the thread of the Machine; must live as long as the machine runs.
#ifndef CORRAL_AGENT_SIMULATE_LOAD_PROGRAMS_H_
#define CORRAL_AGENT_SIMULATE_LOAD_PROGRAMS_H_

#include <memory>
#include <vector>

#include "agent/simulate/scenario.h"
#include "kernel/sim/machine.h"
#include "kernel/sim/random.h"

namespace corral {

// Exact, of all samples.
struct Percentiles {
  uint64_t count = 0;
  Duration p50{0};
  Duration p99{0};
  Duration p999{0};
  Duration max{0};
  static Percentiles Of(std::vector<Duration> samples);
};

// The load of one domain. First a program for each vCPU, then Start() with the threads that have
// them, in the same order.
class DomainLoad {
 public:
  explicit DomainLoad(sim::Machine& machine) : machine_(machine) {}
  virtual ~DomainLoad() = default;
  virtual std::unique_ptr<sim::Program> Program() = 0;
  virtual void Start(const std::vector<sim::SimThread*>& vcpus);
  // Of requests, from arrival to completion; of a lock, from wanting to having it; of a relay, a
  // turn. Empty of loads without.
  const std::vector<Duration>& samples() const { return samples_; }

 protected:
  sim::Machine& machine_;
  std::vector<Duration> samples_;
};

// What is drawn by chance comes from `random`, which other domains go on with.
std::unique_ptr<DomainLoad> MakeLoad(const ScenarioLoad& load, sim::Machine& machine,
                                     sim::Random& random);

}  // namespace corral

#endif  // CORRAL_AGENT_SIMULATE_LOAD_PROGRAMS_H_
