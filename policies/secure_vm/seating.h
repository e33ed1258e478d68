// SPDX-License-Identifier: Apache-2.0
// Puts waiting vCPUs on the free siblings of a plan for a core, where affinities let them use some
// siblings only.
//
// Who has a choice makes way: one that is planned for already gets another sibling; one that runs
// leaves its sibling, and the one that it can have instead is kept for it until it has left. No
// allocation. One thread; used for one plan.
#ifndef CORRAL_POLICIES_SECURE_VM_SEATING_H_
#define CORRAL_POLICIES_SECURE_VM_SEATING_H_

#include <array>

#include "kernel/abi/ghost.h"
#include "policies/secure_vm/siblings.h"
#include "policies/secure_vm/vcpu.h"

namespace corral::secure_vm {

// Who is to be on each sibling; nullptr: nobody.
using Plan = std::array<Vcpu*, GHOST_MAX_SIBLINGS>;

class Seating {
 public:
  // Of the siblings in `usable`, those that nobody has in the plan are free. Who is on one in
  // `fixed` stays there.
  Seating(Plan& plan, int nr_siblings, Siblings usable, Siblings fixed);

  // The siblings of which whoever may use one can have a seat.
  Siblings Open() const;
  // Seats one who may use a sibling of Open().
  void Seat(Vcpu& vcpu);

 private:
  bool Find(Vcpu& vcpu);
  void Take(Vcpu& vcpu, int sibling);

  Plan& plan_;
  const int nr_siblings_;
  Siblings free_ = 0;
  Siblings movable_ = 0;  // who is there may get another one
  Siblings tried_ = 0;
};

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_SEATING_H_
