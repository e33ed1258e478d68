// SPDX-License-Identifier: Apache-2.0
// Core time, shared by weight as if it were a fluid: max-min fair.
//
// Everybody has a share in proportion to its weight, but no more than it can use; what one cannot
// use, the others share likewise. Source: generalised processor sharing (Parekh and Gallager 1993).
//
// No state, no allocation; any thread. Units: any, the same for `total`, limits and shares.
#ifndef CORRAL_POLICIES_SECURE_VM_FLUID_H_
#define CORRAL_POLICIES_SECURE_VM_FLUID_H_

#include "absl/types/span.h"

namespace corral::secure_vm {

struct Glass {
  double weight = 0;  // more than 0
  double limit = 0;
  double share = 0;  // what Pour() gives it
};

// Whether all of it is in use: it would not have more if there were more.
inline bool Full(const Glass& glass) { return glass.share >= glass.limit * (1 - 1e-9); }

void Pour(double total, absl::Span<Glass> glasses);

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_FLUID_H_
