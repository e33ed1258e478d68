// SPDX-License-Identifier: Apache-2.0
#include "agent/views/trust.h"

namespace corral {

TrustRules TrustRulesOf(const Config& config) {
  return {.by_name = [rules = config.trust_rules](const std::string& vm) -> std::string {
            const TrustRule* const rule = FindTrustRule(rules, vm);
            return rule == nullptr ? "" : rule->name;
          },
          .nova_projects = config.nova_projects};
}

}  // namespace corral
