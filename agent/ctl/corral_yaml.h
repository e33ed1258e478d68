// SPDX-License-Identifier: Apache-2.0
// corral.yaml as this build reads it: with the options of all its policies.
#ifndef CORRAL_AGENT_CTL_CORRAL_YAML_H_
#define CORRAL_AGENT_CTL_CORRAL_YAML_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "config/config.h"

namespace corral::ctl {

inline constexpr char kCorralYaml[] = "/etc/corral/corral.yaml";

std::vector<PolicyOptions> AllPolicies();

// Errors as corral::LoadConfig.
absl::StatusOr<Config> LoadCorralYaml(const std::string& file);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_CORRAL_YAML_H_
