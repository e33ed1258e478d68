// SPDX-License-Identifier: Apache-2.0
// A file of its own, so that a linker leaves it out of a program that has a Policies() of its own.
#include "policies/registry.h"

namespace corral {

absl::Span<const PolicyInfo> Policies() { return ShippedPolicies(); }

}  // namespace corral
