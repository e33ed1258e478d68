// SPDX-License-Identifier: Apache-2.0
// What simulated vCPUs do: compute, compute and sleep, take turns with each other, fight for a
// lock, or serve requests that arrive whether the vCPUs get a CPU or not. And percentiles of what
// was measured meanwhile.
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

// A spin lock that the vCPUs of a domain share: whoever wants it computes on until it is free, also
// while its holder has no CPU (that is what co-running a domain's vCPUs is for). First come, first
// served.
class SpinLock {
 public:
  explicit SpinLock(sim::Machine& machine) : machine_(machine) {}

  // Computes for about `compute`, then holds the lock for about `hold`; exponentially distributed.
  std::unique_ptr<sim::Program> User(Duration compute, Duration hold, sim::Random random);
  // From wanting the lock to having it.
  const std::vector<Duration>& waits() const { return waits_; }

 private:
  class UserProgram;
  void Release();

  sim::Machine& machine_;
  sim::SimThread* holder_ = nullptr;
  std::deque<sim::SimThread*> spinning_;
  std::vector<Duration> waits_;
};

// The vCPUs of a domain work one after the other: each computes for about `work`, wakes the next
// one and blocks until its turn comes again.
class Relay {
 public:
  Relay(sim::Machine& machine, Duration work, sim::Random random)
      : machine_(machine), work_(work), random_(random) {}

  std::unique_ptr<sim::Program> Runner();
  // In the order of their turns, before any of them runs. The first one has the first turn.
  void AddRunner(sim::SimThread& thread) { runners_.push_back(&thread); }
  // From being woken to having worked.
  const std::vector<Duration>& turns() const { return turns_; }

 private:
  class RunnerProgram;
  void PassOn(Time now);

  sim::Machine& machine_;
  const Duration work_;
  sim::Random random_;
  std::vector<sim::SimThread*> runners_;
  size_t turn_ = 0;
  Time turn_since_{};
  std::vector<Duration> turns_;
};

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
