// SPDX-License-Identifier: Apache-2.0
// What a run of a reference scheduler ended in.
//
// Units: ns. Integers only, so that a result is the same on every machine. Plain values; not
// thread-safe.
#ifndef CORRAL_TESTS_SIM_BASELINES_RESULT_H_
#define CORRAL_TESTS_SIM_BASELINES_RESULT_H_

#include <cstdint>
#include <vector>

#include "kernel/types.h"

namespace corral::baselines {

// Every sample is kept: a percentile is one of them, by nearest rank, and not an estimate.
class Samples {
 public:
  void Add(Duration sample);
  size_t size() const { return samples_.size(); }
  // 0 of no samples.
  Duration Mean() const;
  // 5000 is the median, 9990 is p99.9.
  Duration Percentile(int per_10000) const;

 private:
  mutable std::vector<Duration> samples_;
  mutable bool sorted_ = true;
};

struct Result {
  struct Domain {
    Duration cpu_time{};  // on CPUs, switches not included
    Duration work{};      // the same in time of a core for oneself: less by what siblings take
    Samples wake_to_run;  // from a wakeup to the first instruction
    // From a request's arrival to its end. Those that were under way at the end are not in it: look
    // at `unfinished` before believing a percentile at a load that the scheduler cannot carry.
    Samples response;
    uint64_t unfinished = 0;
  };
  std::vector<Domain> domains;

  // CPU time: busy + switching + idle = CPUs x elapsed. The first two are charged to threads, the
  // last is seen by the audit, so that the sum can be wrong.
  Duration elapsed{};
  Duration busy{};
  Duration switching{};
  Duration idle{};

  // Core time in which siblings worked for different domains.
  Duration cross_domain{};
  // CPU time idle while a thread waited.
  Duration forced_idle{};
  // Its part that no rule of one domain to a core explains: the core was empty, or it belonged to
  // the domain of a thread that waited.
  Duration unjustified_idle{};

  uint64_t switches = 0;     // of a CPU to a thread
  uint64_t fingerprint = 0;  // of every switch and its time
};

}  // namespace corral::baselines

#endif  // CORRAL_TESTS_SIM_BASELINES_RESULT_H_
