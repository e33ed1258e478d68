// SPDX-License-Identifier: Apache-2.0
// Tells the operator whether an enclave that shall be tickless is: how many timer ticks a second
// interrupt its threads on the CPU that has most of them.
//
// Looks at the class's memory; changes nothing. One thread.
#ifndef CORRAL_AGENT_DAEMON_TICK_WATCH_H_
#define CORRAL_AGENT_DAEMON_TICK_WATCH_H_

#include <optional>
#include <string>
#include <vector>

#include "kernel/ghost_kernel.h"

namespace corral {

class TickWatch {
 public:
  // What it tells is an average over this time.
  static constexpr Duration kWindow = std::chrono::seconds(10);
  // Ticks a second that count as none: a CPU without its tick still gets one now and then.
  static constexpr double kTolerated = 2;

  // `kernel` must outlive the watch.
  TickWatch(const ControlKernel& kernel, std::string enclave, const CpuSet& cpus);

  // A line for the log at the end of the first window, and of each that changes the answer; ""
  // otherwise.
  std::string Look(Time now);

 private:
  struct Busiest {
    CpuId cpu{0};
    uint64_t ticks = 0;
  };
  // Since the last call.
  Busiest CountAnew();

  const ControlKernel& kernel_;
  const std::string enclave_;
  const std::vector<CpuId> cpus_;
  std::vector<uint64_t> before_;  // of each of cpus_
  std::optional<Time> began_;
  std::optional<bool> tickless_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_TICK_WATCH_H_
