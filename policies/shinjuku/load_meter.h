// SPDX-License-Identifier: Apache-2.0
// Which part of some CPUs was in use, of late: the mean over the last whole window.
//
// Units: percent. No allocation. One thread.
#ifndef CORRAL_POLICIES_SHINJUKU_LOAD_METER_H_
#define CORRAL_POLICIES_SHINJUKU_LOAD_METER_H_

#include <algorithm>

#include "kernel/types.h"

namespace corral::shinjuku {

class LoadMeter {
 public:
  explicit LoadMeter(Duration window) : window_(window) {}

  // `busy` of `cpus` are in use from `now` on, until the next call.
  void Note(Time now, int busy, int cpus) {
    used_ += (now - noted_) * busy_;
    had_ += (now - noted_) * cpus_;
    noted_ = now;
    busy_ = busy;
    cpus_ = cpus;
    if (now - began_ < window_) return;
    percent_ = static_cast<int>(used_ * 100 / std::max(had_, Duration(1)));
    began_ = now;
    used_ = had_ = Duration(0);
  }
  int percent() const { return percent_; }

 private:
  const Duration window_;
  Time began_{};
  Time noted_{};
  int busy_ = 0;
  int cpus_ = 0;
  Duration used_{0};  // CPU time since the window began
  Duration had_{0};
  int percent_ = 0;
};

}  // namespace corral::shinjuku

#endif  // CORRAL_POLICIES_SHINJUKU_LOAD_METER_H_
