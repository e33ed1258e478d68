// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/corral_yaml.h"

#include "policies/registry.h"

namespace corral::ctl {

std::vector<PolicyOptions> AllPolicies() {
  std::vector<PolicyOptions> policies;
  for (const PolicyInfo& policy : Policies()) policies.push_back({policy.name, policy.options});
  return policies;
}

absl::StatusOr<Config> LoadCorralYaml(const std::string& file) {
  return LoadConfig(file, AllPolicies());
}

}  // namespace corral::ctl
