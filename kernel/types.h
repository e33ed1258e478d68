// SPDX-License-Identifier: Apache-2.0
// The words that every part of Corral shares: time, ids that cannot be mixed up, and the policy of
// threads in the class.
//
// Units: all times are nanoseconds of CLOCK_MONOTONIC, the clock of bpf_ktime_get_ns(). Values are
// plain data and may be used from any thread.
#ifndef CORRAL_KERNEL_TYPES_H_
#define CORRAL_KERNEL_TYPES_H_

#include <sys/types.h>

#include <chrono>
#include <compare>
#include <cstdint>

namespace corral {

// A span of time in int64 ns.
using Duration = std::chrono::nanoseconds;

// As the class's memory holds it.
constexpr Duration FromNs(uint64_t ns) { return Duration(static_cast<int64_t>(ns)); }

// The clock of every time stamp that crosses the class's boundary.
struct KernelClock {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<KernelClock>;
  static constexpr bool is_steady = true;
};
using Time = KernelClock::time_point;

// An integer that is not interchangeable with other integers. Tag only tells the types apart.
template <typename Tag, typename Rep>
class StrongId {
 public:
  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep value) : value_(value) {}
  constexpr Rep value() const { return value_; }
  constexpr auto operator<=>(const StrongId&) const = default;

  template <typename H>
  friend H AbslHashValue(H h, StrongId id) {
    return H::combine(std::move(h), id.value_);
  }

 private:
  Rep value_ = 0;
};

using CpuId = StrongId<struct CpuTag, int32_t>;  // a logical CPU as Linux numbers it
using CoreId =
    StrongId<struct CoreTag, uint32_t>;  // an index into the class's table of physical cores
using EnclaveId = StrongId<struct EnclaveTag, uint32_t>;
using DomainId = StrongId<struct DomainTag, uint32_t>;  // an index into the class's table of trust
                                                        // domains; 0 is the host
using QueueId = StrongId<struct QueueTag, uint32_t>;
using Gtid = StrongId<struct GtidTag, uint64_t>;  // a task: slot in the low half, incarnation in
                                                  // the high half; 0 = none

inline constexpr int kSchedExtPolicy = 7;  // SCHED_EXT, which glibc does not name yet

}  // namespace corral

#endif  // CORRAL_KERNEL_TYPES_H_
