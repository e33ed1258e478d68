// SPDX-License-Identifier: Apache-2.0
// The policies of programs of one's own: all that ship, and fair_share of docs/writing-a-policy.md.
#include "policies/registry.h"

#include <memory>
#include <vector>

#include "policies/fair_share/policy.h"

namespace corral {
namespace {

absl::StatusOr<std::unique_ptr<CentralPolicy>> MakeFairShare(const PolicyContext& context) {
  return std::make_unique<fair_share::FairShare>(context.topology, context.nr_slots,
                                                 context.options.GetDuration("slice"));
}

std::vector<PolicyInfo> MyPolicies() {
  std::vector<PolicyInfo> policies = {
      {.name = "fair_share",
       .summary = "CPU time for processes by weight, however many threads they have",
       .options = fair_share::kOptions,
       .make_central = MakeFairShare}};
  for (PolicyInfo policy : ShippedPolicies()) {
    // An agent is told the name and the options that corral.yaml has, and corrald, which reads
    // that, knows the shipped ones. So on a host ours goes by the name of one that has options like
    // ours.
    if (policy.name == "fifo_centralized") policy.make_central = MakeFairShare;
    policies.push_back(policy);
  }
  return policies;
}

}  // namespace

absl::Span<const PolicyInfo> Policies() {
  static const std::vector<PolicyInfo> kPolicies = MyPolicies();
  return kPolicies;
}

}  // namespace corral
