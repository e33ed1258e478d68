// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/baselines/result.h"

#include <algorithm>

namespace corral::baselines {

void Samples::Add(Duration sample) {
  samples_.push_back(sample);
  sorted_ = false;
}

Duration Samples::Mean() const {
  if (samples_.empty()) return Duration(0);
  __int128 sum = 0;
  for (const Duration sample : samples_) sum += sample.count();
  return Duration(static_cast<int64_t>(sum / static_cast<__int128>(samples_.size())));
}

Duration Samples::Percentile(int per_10000) const {
  if (samples_.empty()) return Duration(0);
  if (!sorted_) std::sort(samples_.begin(), samples_.end());
  sorted_ = true;
  const size_t rank = (samples_.size() * static_cast<size_t>(per_10000) + 9999) / 10000;
  return samples_[std::max<size_t>(rank, 1) - 1];
}

}  // namespace corral::baselines
