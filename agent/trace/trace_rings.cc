// SPDX-License-Identifier: Apache-2.0
#include "agent/trace/trace_rings.h"

#include <algorithm>

namespace corral {
namespace {

// What is loaded next stays behind it: a fence would do, but the thread sanitizer knows none.
template <typename T>
T Load(const T& value) {
  return __atomic_load_n(&value, __ATOMIC_ACQUIRE);
}

// The number that the entry had throughout the copy; 0: it is being written.
uint64_t Copy(const ghost_trace_event& shared, TraceEvent& event) {
  const uint64_t number = Load(shared.number);
  event.at = Time(FromNs(Load(shared.time_ns)));
  event.tid = static_cast<pid_t>(Load(shared.tid));
  event.domain = Load(shared.domain);
  event.type = static_cast<ghost_trace_type>(Load(shared.type));
  event.what = Load(shared.what);
  event.arg = Load(shared.arg);
  return Load(shared.number) == number ? number : 0;
}

}  // namespace

TraceRings::TraceRings(const ControlKernel& kernel)
    : kernel_(kernel), seen_(kernel.cpu_states().size(), 0) {}

void TraceRings::ReadCpu(size_t cpu, std::vector<TraceEvent>& events) {
  const ghost_trace_event* const ring = &kernel_.traces()[cpu * GHOST_TRACE_EVENTS];
  const uint64_t written = __atomic_load_n(&kernel_.cpu_states()[cpu].traced, __ATOMIC_ACQUIRE);
  uint64_t next = seen_[cpu] + 1;
  if (written >= next + GHOST_TRACE_EVENTS) {
    const uint64_t oldest = written - GHOST_TRACE_EVENTS + 1;
    if (!first_) lost_ += oldest - next;
    next = oldest;
  }
  for (; next <= written; ++next) {
    TraceEvent event{.cpu = CpuId(static_cast<int>(cpu))};
    const uint64_t number = Copy(ring[(next - 1) % GHOST_TRACE_EVENTS], event);
    if (number == next) {
      events.push_back(event);
    } else if (number > next) {
      ++lost_;
    } else {
      break;  // it and those behind it come with the next look
    }
  }
  seen_[cpu] = next - 1;
}

std::vector<TraceEvent> TraceRings::Read() {
  std::vector<TraceEvent> events;
  for (size_t cpu = 0; cpu < seen_.size(); ++cpu) {
    if (kernel_.cpus()[cpu].present) ReadCpu(cpu, events);
  }
  first_ = false;
  // Events of one CPU keep their order.
  std::stable_sort(events.begin(), events.end(),
                   [](const TraceEvent& a, const TraceEvent& b) { return a.at < b.at; });
  return events;
}

}  // namespace corral
