// SPDX-License-Identifier: Apache-2.0
// Random numbers that are the same on every machine: integers only, no floating point and nothing
// that the standard leaves to the library.
//
// The generator is splitmix64 (Steele, Lea, Flood, OOPSLA'14). A value; not thread-safe.
#ifndef CORRAL_KERNEL_SIM_RANDOM_H_
#define CORRAL_KERNEL_SIM_RANDOM_H_

#include <cstdint>

#include "kernel/types.h"

namespace corral::sim {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // 0 to n - 1; 0 for n = 0.
  uint64_t Below(uint64_t n) { return n == 0 ? 0 : Next() % n; }
  bool Chance(uint32_t permille) { return Below(1000) < permille; }
  Duration Between(Duration low, Duration high) {
    return high <= low ? low : low + Duration(Below((high - low).count() + 1));
  }
  // Exponentially distributed, by von Neumann's comparison of uniform numbers (1951).
  Duration Exponential(Duration mean) {
    for (int64_t whole = 0;; ++whole) {
      const uint64_t first = Next() >> 32;
      uint64_t last = first;
      bool odd = true;
      for (uint64_t u = Next() >> 32; u < last; u = Next() >> 32) {
        last = u;
        odd = !odd;
      }
      if (!odd) continue;
      const auto part = static_cast<__int128>(mean.count()) * static_cast<__int128>(first) >> 32;
      return mean * whole + Duration(static_cast<int64_t>(part));
    }
  }
  // For a part of a machine that must not disturb the others' numbers.
  Random Fork() { return Random(Next()); }

 private:
  uint64_t state_;
};

}  // namespace corral::sim

#endif  // CORRAL_KERNEL_SIM_RANDOM_H_
