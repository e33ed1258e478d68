// SPDX-License-Identifier: Apache-2.0
// The structure of corral.yaml, version 1: from a YAML document to a Config. Only config/ includes
// this.
#ifndef CORRAL_CONFIG_PARSE_H_
#define CORRAL_CONFIG_PARSE_H_

#include <yaml-cpp/yaml.h>

#include "config/config.h"
#include "config/error_list.h"

namespace corral {

// Adds every error to `errors`; the result counts only if there is none. May throw what yaml-cpp
// throws.
Config ReadDocument(const YAML::Node& root, absl::Span<const PolicyOptions> policies,
                    ErrorList& errors);

}  // namespace corral

#endif  // CORRAL_CONFIG_PARSE_H_
