// SPDX-License-Identifier: Apache-2.0
// The policies that this build has, by name. Adding one is a folder, a table of options and a line
// in registry.cc.
//
// Used by corral-agent, which makes one, and by config/, which validates options against the
// tables. Immutable; any thread.
#ifndef CORRAL_POLICIES_REGISTRY_H_
#define CORRAL_POLICIES_REGISTRY_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "agent/hints/hint_tables.h"
#include "agent/runtime/options.h"
#include "agent/runtime/policy.h"
#include "agent/runtime/topology.h"

namespace corral {

// What a policy is made from.
struct PolicyContext {
  const Topology& topology;  // the enclave's cores
  uint32_t nr_slots;         // tasks of the class
  const OptionValues& options;
  const HintTables* hints = nullptr;  // of the enclave's processes; nullptr: nobody hints
};

// Exactly one of the factories is set.
struct PolicyInfo {
  absl::string_view name;
  absl::string_view summary;  // one line
  absl::Span<const OptionSpec> options;
  bool promises = false;  // whether it gives vCPUs the time that they ask for
  absl::StatusOr<std::unique_ptr<PerCorePolicy>> (*make_per_core)(const PolicyContext& context) =
      nullptr;
  absl::StatusOr<std::unique_ptr<CentralPolicy>> (*make_central)(const PolicyContext& context) =
      nullptr;
};

// Those of registry.cc.
absl::Span<const PolicyInfo> ShippedPolicies();
// Those of this program: the shipped ones, unless it defines this function itself and so has others
// (docs/writing-a-policy.md, "Outside this tree").
absl::Span<const PolicyInfo> Policies();
// NotFound names the ones that there are.
absl::StatusOr<const PolicyInfo*> FindPolicy(absl::string_view name);

}  // namespace corral

#endif  // CORRAL_POLICIES_REGISTRY_H_
