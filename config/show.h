// SPDX-License-Identifier: Apache-2.0
// What corral.yaml and its drop-ins come to: each value that is in force, and who said it.
//
// The YAML is a corral.yaml by itself that says the same, with the source of each value as a
// comment: "FILE:LINE", beside the main file without its folder, or "default". The JSON; members
// may be added:
//   {
//     "files": [PATH],                    in the order in which they were read
//     "config": {...},                    corral.yaml as JSON, all defaults written out
//     "values": [{"key", "value", "source": {"file", "line", "column"}, or null of a default}]
//   }
// A key is "enclaves.NAME.options.tenure". Any thread.
#ifndef CORRAL_CONFIG_SHOW_H_
#define CORRAL_CONFIG_SHOW_H_

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "config/config.h"

namespace corral {

struct EffectiveConfig {
  std::string yaml;
  nlohmann::ordered_json json;
};

// Errors as ParseConfig.
absl::StatusOr<EffectiveConfig> ShowConfig(absl::Span<const ConfigText> texts,
                                           absl::Span<const PolicyOptions> policies);

}  // namespace corral

#endif  // CORRAL_CONFIG_SHOW_H_
