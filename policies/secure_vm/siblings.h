// SPDX-License-Identifier: Apache-2.0
// Which siblings of a core vCPUs may use, a bit each, and how many of the vCPUs can run at once.
//
// Affinities, and CPUs that are offline, keep a vCPU from some of them. No state; any thread.
#ifndef CORRAL_POLICIES_SECURE_VM_SIBLINGS_H_
#define CORRAL_POLICIES_SECURE_VM_SIBLINGS_H_

#include <cstdint>

#include "absl/types/span.h"

namespace corral::secure_vm {

using Siblings = uint32_t;
inline constexpr Siblings kAnySibling = ~Siblings{0};

inline Siblings SiblingBit(int sibling) { return Siblings{1} << sibling; }
inline Siblings AllSiblings(int nr_siblings) { return SiblingBit(nr_siblings) - 1; }

// How many vCPUs, of those that may use `each`, the siblings of a core can run at the same time.
int AtOnce(absl::Span<const Siblings> each, int nr_siblings);

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_SIBLINGS_H_
