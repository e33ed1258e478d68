// SPDX-License-Identifier: Apache-2.0
#include <fnmatch.h>

#include <algorithm>

#include "config/config.h"

namespace corral {

const TrustRule* FindTrustRule(absl::Span<const TrustRule> rules, const std::string& vm) {
  const auto matches = [&](const std::string& glob) {
    return fnmatch(glob.c_str(), vm.c_str(), 0) == 0;
  };
  const auto rule = std::find_if(rules.begin(), rules.end(), [&](const TrustRule& candidate) {
    return std::any_of(candidate.globs.begin(), candidate.globs.end(), matches);
  });
  return rule == rules.end() ? nullptr : &*rule;
}

}  // namespace corral
