// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/interrupts.h"

#include <signal.h>

#include "absl/time/time.h"

namespace corral {
namespace {

sigset_t Interrupts() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

}  // namespace

void HoldInterrupts() {
  const sigset_t signals = Interrupts();
  sigprocmask(SIG_BLOCK, &signals, nullptr);
}

bool InterruptedWithin(Duration time) {
  const sigset_t signals = Interrupts();
  const timespec timeout = absl::ToTimespec(absl::FromChrono(time));
  return sigtimedwait(&signals, nullptr, &timeout) > 0;
}

void AwaitInterrupt() {
  const sigset_t signals = Interrupts();
  int number = 0;
  sigwait(&signals, &number);
}

}  // namespace corral
