// SPDX-License-Identifier: Apache-2.0
#include "policies/secure_vm/seating.h"

namespace corral::secure_vm {

Seating::Seating(Plan& plan, int nr_siblings, Siblings usable, Siblings fixed)
    : plan_(plan), nr_siblings_(nr_siblings) {
  for (int i = 0; i < nr_siblings; ++i) {
    if ((usable & SiblingBit(i)) == 0) continue;
    if (plan[i] == nullptr) free_ |= SiblingBit(i);
    if (plan[i] != nullptr && (fixed & SiblingBit(i)) == 0) movable_ |= SiblingBit(i);
  }
}

Siblings Seating::Open() const {
  Siblings open = free_;
  for (Siblings before = 0; before != open;) {
    before = open;
    for (int i = 0; i < nr_siblings_; ++i) {
      const bool movable = (movable_ & SiblingBit(i)) != 0;
      if (movable && (plan_[i]->siblings & open) != 0) open |= SiblingBit(i);
    }
  }
  return free_ == 0 ? 0 : open;
}

void Seating::Seat(Vcpu& vcpu) {
  tried_ = 0;
  Find(vcpu);
}

// A sibling that could not take the vCPU passes it on to the next.
bool Seating::Find(Vcpu& vcpu) {
  const int first = vcpu.task->latch_failures % nr_siblings_;
  for (int k = 0; k < nr_siblings_; ++k) {
    const int i = (first + k) % nr_siblings_;
    if (!vcpu.may(i) || (free_ & SiblingBit(i)) == 0) continue;
    free_ &= ~SiblingBit(i);
    Take(vcpu, i);
    return true;
  }
  for (int i = 0; i < nr_siblings_; ++i) {
    if (!vcpu.may(i) || (movable_ & ~tried_ & SiblingBit(i)) == 0) continue;
    tried_ |= SiblingBit(i);
    if (!Find(*plan_[i])) continue;
    Take(vcpu, i);
    return true;
  }
  return false;
}

// One that runs has to leave before it can be anywhere else.
void Seating::Take(Vcpu& vcpu, int sibling) {
  const bool comes = vcpu.sibling < 0;
  plan_[sibling] = comes ? &vcpu : nullptr;
  if (comes) {
    movable_ |= SiblingBit(sibling);
  } else {
    movable_ &= ~SiblingBit(sibling);
  }
}

}  // namespace corral::secure_vm
