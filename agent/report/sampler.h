// SPDX-License-Identifier: Apache-2.0
// Makes samples of what the class's memory says, real or simulated. Nothing but reads.
//
// Between two samples it has to be looked at now and then, every second on a host: only what looks
// see of a vCPU that ends or moves to another node is known. Used from one thread.
#ifndef CORRAL_AGENT_REPORT_SAMPLER_H_
#define CORRAL_AGENT_REPORT_SAMPLER_H_

#include <map>
#include <set>
#include <vector>

#include "agent/report/sample.h"
#include "kernel/ghost_kernel.h"

namespace corral::report {

class Sampler {
 public:
  // `kernel` must outlive it. What vCPUs waited for, and missed, their agents tell about every
  // second, so some of that may stand in the next sample.
  explicit Sampler(const ControlKernel& kernel);

  void Look();
  // Looks, and ends the stretch that began with the last sample or when this was made. What the
  // class cannot know (time, auditor, news) is left to the caller.
  Sample Take();

 private:
  struct Sums {
    Duration used{0}, local{0}, remote{0}, missed{0};
    std::array<Duration, GHOST_NR_WAITS> waited = {};
    std::array<uint32_t, GHOST_WAIT_BUCKETS> waits = {};
  };
  struct Counters {
    uint64_t switches = 0, rescues = 0, breaches = 0;
  };
  // Of one incarnation of a slot.
  struct Vcpu {
    uint64_t gtid = 0;
    uint32_t domain = 0;
    Duration runtime{0};  // at the last look
    ghost_waits waits = {};
    std::array<uint64_t, GHOST_WAIT_BUCKETS> counts = {};  // of its waits, by length
    // In this stretch.
    Time since{};
    Duration guaranteed{0};
  };

  void LookAt(uint32_t slot, Time now);
  void AddDomains(Sample& sample, double ns) const;
  void AddCores(Sample& sample, double ns);
  Counters CountersOf(uint32_t core) const;

  const ControlKernel& kernel_;
  Time begin_{};
  Time looked_{};
  std::map<uint32_t, Vcpu> vcpus_;     // by slot
  std::map<uint32_t, Sums> domains_;   // of this stretch
  std::map<uint32_t, Duration> idle_;  // by core: waited beside a sibling that had to idle
  std::vector<Counters> counters_;     // by core, when the stretch began
};

}  // namespace corral::report

#endif  // CORRAL_AGENT_REPORT_SAMPLER_H_
