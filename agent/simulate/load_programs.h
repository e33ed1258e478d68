// SPDX-License-Identifier: Apache-2.0
// What simulated vCPUs do: compute, compute and sleep, or serve requests that arrive whether the
// vCPUs get a CPU or not. And percentiles of what was measured meanwhile.
//
// Belongs to the thread of the Machine, which must outlive a RequestQueue's arrivals.
#ifndef CORRAL_AGENT_SIMULATE_LOAD_PROGRAMS_H_
#define CORRAL_AGENT_SIMULATE_LOAD_PROGRAMS_H_

#include <deque>
#include <memory>
#include <vector>

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

std::unique_ptr<sim::Program> SpinProgram();
// For about `run`, then asleep for about `sleep`; exponentially distributed.
std::unique_ptr<sim::Program> MixProgram(Duration run, Duration sleep, sim::Random random);

// Requests to the vCPUs of one domain, in order of arrival.
class RequestQueue {
 public:
  RequestQueue(sim::Machine& machine, Duration every, Duration service, sim::Random random)
      : machine_(machine), every_(every), service_(service), random_(random) {}

  // The first request comes about `every` from now.
  void Start();
  // One vCPU's share of the work.
  std::unique_ptr<sim::Program> Server();
  void AddServer(sim::SimThread& thread) { idle_.push_back(&thread); }
  const std::vector<Duration>& latencies() const { return latencies_; }
  size_t waiting() const { return waiting_.size(); }

 private:
  class ServerProgram;
  struct Request {
    Time arrived;
    Duration service;
  };
  void Arrive();

  sim::Machine& machine_;
  const Duration every_;
  const Duration service_;
  sim::Random random_;
  std::deque<Request> waiting_;
  std::vector<sim::SimThread*> idle_;  // servers that sleep, the last one to sleep at the end
  std::vector<Duration> latencies_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_SIMULATE_LOAD_PROGRAMS_H_
