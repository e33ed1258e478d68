// SPDX-License-Identifier: Apache-2.0
// The options of the secure VM policy: the table that config/ validates against, and the values as
// the policy uses them.
#ifndef CORRAL_POLICIES_SECURE_VM_OPTIONS_H_
#define CORRAL_POLICIES_SECURE_VM_OPTIONS_H_

#include "absl/types/span.h"
#include "agent/runtime/options.h"
#include "policies/secure_vm/policy.h"

namespace corral::secure_vm {

absl::Span<const OptionSpec> OptionTable();
// `values` were validated against OptionTable().
Options ReadOptions(const OptionValues& values);

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_OPTIONS_H_
