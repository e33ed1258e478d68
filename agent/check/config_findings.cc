// SPDX-License-Identifier: Apache-2.0
// corral.yaml: would corrald take it, on this host?
#include "absl/strings/str_cat.h"
#include "agent/check/host_findings.h"
#include "policies/registry.h"

namespace corral {

absl::StatusOr<Config> ReadConfig(const HostTree& tree, const std::string& file) {
  std::vector<PolicyOptions> policies;
  for (const PolicyInfo& policy : Policies()) policies.push_back({policy.name, policy.options});
  return LoadConfig(tree.Path(file), policies);
}

void CheckConfig(const HostTree& tree, const std::string& file, Findings& findings) {
  if (!tree.Exists(file)) {
    Add(findings, Level::kOk, kConfigFinding, absl::StrCat("there is no ", file, " to judge"));
    return;
  }
  absl::StatusOr<Config> config = ReadConfig(tree, file);
  absl::Status status = config.status();
  if (status.ok()) {
    const HostCpus host = ReadHostCpus(tree);
    if (!host.cores.empty()) status = ResolveCpus(*config, host);
  }
  if (!status.ok()) {
    Add(findings, Level::kFail, kConfigFinding, status.message(),
        "corrald refuses it; correct the lines named");
    return;
  }
  Add(findings, Level::kOk, kConfigFinding,
      absl::StrCat(file, " is valid; mode: ", NameOf(config->mode), ", ", config->enclaves.size(),
                   " enclaves"));
}

}  // namespace corral
