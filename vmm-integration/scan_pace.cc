// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/scan_pace.h"

#include <algorithm>
#include <ctime>

namespace corral {
namespace {

ScanPace::Clock::duration MyCpuTime() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

void ScanPace::Scan(absl::FunctionRef<void()> scan) {
  const Clock::duration before = MyCpuTime();
  scan();
  const Clock::duration cost = MyCpuTime() - before;
  const Clock::time_point end = Clock::now();
  earliest_ = end + cost * kShareInHaste;
  next_ = end + std::clamp<Clock::duration>(cost * kShareAtRest, kMostOften, kLeastOften);
}

void ScanPace::Hasten(std::chrono::milliseconds in) {
  next_ = std::min(next_, std::max(Clock::now() + in, earliest_));
}

}  // namespace corral
