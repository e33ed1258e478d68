// SPDX-License-Identifier: Apache-2.0
// CoreScheduler, fourth part: why those wait that do not run. Said anew after each decision, for
// the time from then on.
#include "policies/secure_vm/core_scheduler.h"

namespace corral::secure_vm {

bool CoreScheduler::HasIdleSibling() const {
  for (int i = 0; i < core_.nr_cpus; ++i) {
    if ((usable_ & SiblingBit(i)) != 0 && running_[i] == nullptr) return true;
  }
  return false;
}

// All that the vCPU may use, by vCPUs of its own domain.
bool CoreScheduler::SiblingsTaken(const Vcpu& vcpu) const {
  for (int i = 0; i < core_.nr_cpus; ++i) {
    if ((usable_ & SiblingBit(i)) != 0 && vcpu.may(i) && running_[i] == nullptr) return false;
  }
  return true;
}

void CoreScheduler::SayWhy(Time now) const {
  const ghost_wait others = HasIdleSibling() ? GHOST_WAIT_FORCED_IDLE : GHOST_WAIT_TURN;
  for (const std::unique_ptr<Pen>& pen : pens_) {
    for (Vcpu* v = pen->throttled.front(); v != nullptr; v = pen->throttled.Next(*v))
      v->task->waits.Because(GHOST_WAIT_CAP, now);
    for (Vcpu* v = pen->waiting.front(); v != nullptr; v = pen->waiting.Next(*v)) {
      const bool held = pen.get() == holder_;
      const ghost_wait own = SiblingsTaken(*v) ? GHOST_WAIT_OWN : GHOST_WAIT_AGENT;
      v->task->waits.Because(held ? own : others, now);
    }
  }
}

}  // namespace corral::secure_vm
