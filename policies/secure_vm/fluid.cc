// SPDX-License-Identifier: Apache-2.0
#include "policies/secure_vm/fluid.h"

namespace corral::secure_vm {

// Who is full leaves more to the others, which may make another one full.
void Pour(double total, absl::Span<Glass> glasses) {
  double weights = 0;
  for (Glass& glass : glasses) {
    glass.share = -1;
    weights += glass.weight;
  }
  for (bool again = true; again;) {
    again = false;
    const double level = weights > 0 ? total / weights : 0;
    for (Glass& glass : glasses) {
      if (glass.share >= 0 || glass.limit > level * glass.weight) continue;
      glass.share = glass.limit;
      total -= glass.limit;
      weights -= glass.weight;
      again = true;
    }
  }
  for (Glass& glass : glasses) {
    if (glass.share < 0) glass.share = total * glass.weight / weights;
  }
}

}  // namespace corral::secure_vm
