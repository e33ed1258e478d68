// SPDX-License-Identifier: Apache-2.0
#include "tests/class/host_probe.h"

#include <sched.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "kernel/cpu_mask.h"

namespace corral {
namespace {

int64_t Nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

void BindThread(pid_t tid, CpuId cpu) {
  const cpu_set_t one = MaskOf({cpu.value()});
  if (sched_setaffinity(tid, sizeof(one), &one) != 0) abort();
}

HostProbe::HostProbe() : thread_([this] { Main(); }) {
  while (tid_ == 0) std::this_thread::yield();
}

HostProbe::~HostProbe() {
  stop_ = true;
  wake_.release();
  thread_.join();
}

Duration HostProbe::WakeOn(CpuId cpu) {
  // It may be on its way to sleep yet, where binding it would be what takes long.
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  BindThread(tid_, cpu);
  const int64_t woken_at = Nanoseconds();
  wake_.release();
  ran_.acquire();
  return Duration(ran_at_ - woken_at);
}

void HostProbe::Main() {
  tid_ = gettid();
  for (;;) {
    wake_.acquire();
    ran_at_ = Nanoseconds();
    if (stop_) return;
    ran_.release();
  }
}

}  // namespace corral
