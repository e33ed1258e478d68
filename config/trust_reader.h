// SPDX-License-Identifier: Apache-2.0
// The part "trust_domains" of corral.yaml. Only config/ includes this.
#ifndef CORRAL_CONFIG_TRUST_READER_H_
#define CORRAL_CONFIG_TRUST_READER_H_

#include <yaml-cpp/yaml.h>

#include "config/config.h"
#include "config/error_list.h"

namespace corral {

// Fills in trust_rules and nova_projects. They count only if no error was added.
void ReadTrustDomains(const YAML::Node& node, ErrorList& errors, Config& config);

}  // namespace corral

#endif  // CORRAL_CONFIG_TRUST_READER_H_
