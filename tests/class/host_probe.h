// SPDX-License-Identifier: Apache-2.0
// A thread of the default class that sleeps until it is woken, and says how long it took until it
// ran. For tests of who keeps whom waiting.
#ifndef CORRAL_TESTS_CLASS_HOST_PROBE_H_
#define CORRAL_TESTS_CLASS_HOST_PROBE_H_

#include <atomic>
#include <semaphore>
#include <thread>

#include "kernel/types.h"

namespace corral {

// One thread calls it.
class HostProbe {
 public:
  HostProbe();
  ~HostProbe();
  HostProbe(const HostProbe&) = delete;

  // Bound to the CPU while it sleeps, then woken.
  Duration WakeOn(CpuId cpu);

 private:
  void Main();

  std::atomic<bool> stop_ = false;
  std::atomic<pid_t> tid_ = 0;
  std::atomic<int64_t> ran_at_ = 0;
  std::binary_semaphore wake_{0};
  std::binary_semaphore ran_{0};
  std::thread thread_;
};

// Only there from now on.
void BindThread(pid_t tid, CpuId cpu);

}  // namespace corral

#endif  // CORRAL_TESTS_CLASS_HOST_PROBE_H_
