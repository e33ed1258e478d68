// SPDX-License-Identifier: Apache-2.0
#include "config/config.h"
#include "config/error_list.h"
#include "config/parse.h"
#include "config/yaml_text.h"

namespace corral {

absl::StatusOr<Config> ParseConfig(const std::string& text, const std::string& file,
                                   absl::Span<const PolicyOptions> policies) {
  ErrorList errors(file);
  Config config;
  ParseYaml(text, "a corral.yaml", errors, [&](const YAML::Node& root) {
    config = ReadDocument(root, policies, errors);
    config.file = file;
  });
  if (!errors.empty()) return errors.ToStatus();
  return config;
}

absl::StatusOr<Config> LoadConfig(const std::string& file,
                                  absl::Span<const PolicyOptions> policies) {
  absl::StatusOr<std::string> text =
      ReadYamlFile(file, "give the configuration's path with --config");
  if (!text.ok()) return text.status();
  return ParseConfig(*text, file, policies);
}

}  // namespace corral
