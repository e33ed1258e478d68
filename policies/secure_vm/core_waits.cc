// SPDX-License-Identifier: Apache-2.0
// CoreScheduler, fourth part: why those wait that do not run. Said anew after each decision, for
// the time from then on.
#include "policies/secure_vm/core_scheduler.h"

namespace corral::secure_vm {

Siblings CoreScheduler::IdleSiblings() const {
  Siblings idle = 0;
  for (int i = 0; i < core_.nr_cpus; ++i) {
    if (running_[i] == nullptr) idle |= SiblingBit(i);
  }
  return idle & usable_;
}

void CoreScheduler::SayWhy(Time now) const {
  const Siblings idle = IdleSiblings();
  const ghost_wait others = idle != 0 ? GHOST_WAIT_FORCED_IDLE : GHOST_WAIT_TURN;
  for (const std::unique_ptr<Pen>& pen : pens_) {
    for (Vcpu* v = pen->throttled.front(); v != nullptr; v = pen->throttled.Next(*v))
      v->task->waits.Because(GHOST_WAIT_CAP, now);
    for (Vcpu* v = pen->waiting.front(); v != nullptr; v = pen->waiting.Next(*v)) {
      const ghost_wait own = (idle & v->siblings) == 0 ? GHOST_WAIT_OWN : GHOST_WAIT_AGENT;
      v->task->waits.Because(pen.get() == holder_ ? own : others, now);
    }
  }
}

}  // namespace corral::secure_vm
