// SPDX-License-Identifier: Apache-2.0
// What is right only together: options and their policy, keys that rule each other out, enclaves
// that collide. And the settings with the defaults of what nobody said. Only config/ includes this.
#ifndef CORRAL_CONFIG_CHECK_SETTINGS_H_
#define CORRAL_CONFIG_CHECK_SETTINGS_H_

#include "config/config.h"
#include "config/setting.h"

namespace corral {

// Of the merged document. Adds every error to `errors`, and tells each option its spec.
void CheckSettings(Setting& root, absl::Span<const PolicyOptions> policies, FileErrors& errors);

// Adds what is not there and has a default, in the order of the tables. Of a document without
// errors.
void AddDefaults(Setting& root, absl::Span<const PolicyOptions> policies);

}  // namespace corral

#endif  // CORRAL_CONFIG_CHECK_SETTINGS_H_
