// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "policies/registry.h"

namespace corral {

absl::StatusOr<const PolicyInfo*> FindPolicy(absl::string_view name) {
  std::vector<absl::string_view> names;
  for (const PolicyInfo& policy : Policies()) {
    if (policy.name == name) return &policy;
    names.push_back(policy.name);
  }
  return absl::NotFoundError(
      absl::StrCat("there is no policy \"", name, "\"; there are: ", absl::StrJoin(names, ", ")));
}

}  // namespace corral
