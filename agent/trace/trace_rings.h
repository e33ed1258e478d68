// SPDX-License-Identifier: Apache-2.0
// Reads the class's rings of events (kernel/abi/trace.h) while the class writes them.
#ifndef CORRAL_AGENT_TRACE_TRACE_RINGS_H_
#define CORRAL_AGENT_TRACE_TRACE_RINGS_H_

#include <vector>

#include "kernel/ghost_kernel.h"

namespace corral {

struct TraceEvent {
  Time at{};
  CpuId cpu;  // on which it happened
  ghost_trace_type type{};
  uint32_t what = 0;
  pid_t tid = 0;
  uint32_t domain = 0;
  uint32_t arg = 0;
};

// Used from one thread.
class TraceRings {
 public:
  // `kernel` must outlive it.
  explicit TraceRings(const ControlKernel& kernel);

  // What happened since the last call, or at the first one what the rings still hold; of all CPUs,
  // oldest first.
  std::vector<TraceEvent> Read();
  // Events that were overwritten before they were read, since the first call.
  uint64_t lost() const { return lost_; }

 private:
  void ReadCpu(size_t cpu, std::vector<TraceEvent>& events);

  const ControlKernel& kernel_;
  std::vector<uint64_t> seen_;  // by CPU: the number of the last event that was read
  bool first_ = true;
  uint64_t lost_ = 0;
};

}  // namespace corral

#endif  // CORRAL_AGENT_TRACE_TRACE_RINGS_H_
