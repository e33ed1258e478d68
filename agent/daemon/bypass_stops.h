// SPDX-License-Identifier: Apache-2.0
// Lets processes go on that the class's trip wire stopped while the class stayed in charge: around
// a suspend the kernel runs threads past it, and comes back by itself
// (kernel/bpf/ghost_trip.bpf.h).
#ifndef CORRAL_AGENT_DAEMON_BYPASS_STOPS_H_
#define CORRAL_AGENT_DAEMON_BYPASS_STOPS_H_

#include <sys/types.h>

#include <cstddef>
#include <map>
#include <utility>

#include "kernel/ghost_kernel.h"

namespace corral {

// Used from one thread. What an earlier daemon let go on already is let go on once more, which
// changes nothing.
class BypassStops {
 public:
  // A stop that has been there since the last call is taken back. Returns how many processes that
  // were. Call it a few times a second, and only while the class is in charge.
  size_t Resume(const ControlKernel& kernel);

 private:
  struct Count {
    uint32_t seen = 0;     // of ghost_status_word.stops, at the last call
    uint32_t resumed = 0;  // of these, how many were answered
  };
  std::map<uint64_t, Count> counts_;  // by gtid, of threads that were stopped ever
  // Reading every status word takes too long to be done for nothing.
  uint64_t total_ = 0;   // of ghost_class_info.stops, at the last call
  bool pending_ = true;  // there was something new at the last look
};

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_BYPASS_STOPS_H_
