// SPDX-License-Identifier: Apache-2.0
// When a source looks at everything again: the more that costs, the rarer. What a scan finds has
// mostly been told before; with hundreds of VMs one takes longer than it may each time.
//
// Used from one thread, whose CPU time is what a scan costs.
#ifndef CORRAL_VMM_INTEGRATION_SCAN_PACE_H_
#define CORRAL_VMM_INTEGRATION_SCAN_PACE_H_

#include <chrono>

#include "absl/functional/function_ref.h"

namespace corral {

class ScanPace {
 public:
  using Clock = std::chrono::steady_clock;
  // At rest, scans take one part in so many of a CPU's time.
  static constexpr int kShareAtRest = 250;
  // When something asks for them, one part in so many.
  static constexpr int kShareInHaste = 10;
  static constexpr std::chrono::seconds kMostOften{2};
  static constexpr std::chrono::minutes kLeastOften{3};

  void Scan(absl::FunctionRef<void()> scan);
  // Something may have been missed: the next scan comes now, unless the last one was too recent for
  // what it cost.
  void Hasten(std::chrono::milliseconds in = {});
  Clock::time_point next() const { return next_; }

 private:
  Clock::time_point next_{};
  Clock::time_point earliest_{};
};

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_SCAN_PACE_H_
