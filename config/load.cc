// SPDX-License-Identifier: Apache-2.0
#include "config/config.h"
#include "config/document.h"
#include "config/drop_ins.h"
#include "config/resolve.h"
#include "config/yaml_text.h"

namespace corral {

absl::StatusOr<std::vector<ConfigText>> ReadConfigTexts(const std::string& file) {
  absl::StatusOr<std::string> text =
      ReadYamlFile(file, "give the configuration's path with --config");
  if (!text.ok()) return text.status();
  std::vector<ConfigText> texts = {{file, *std::move(text)}};
  const absl::StatusOr<DropIns> drop_ins = FindDropIns(file);
  if (!drop_ins.ok()) return drop_ins.status();
  for (const std::string& drop_in : drop_ins->files) {
    text = ReadYamlFile(drop_in, "make it readable, or take it away");
    if (!text.ok()) return text.status();
    texts.push_back({drop_in, *std::move(text)});
  }
  return texts;
}

absl::StatusOr<Config> ParseConfig(absl::Span<const ConfigText> texts,
                                   absl::Span<const PolicyOptions> policies) {
  FileErrors errors(NamesOf(texts));
  const Document document = ReadDocument(texts, policies, errors);
  if (!errors.empty()) return errors.ToStatus();
  return ToConfig(document, policies);
}

ConfigCheck CheckConfigTexts(absl::Span<const ConfigText> texts,
                             absl::Span<const PolicyOptions> policies, const HostCpus& host) {
  FileErrors errors(NamesOf(texts));
  const Document document = ReadDocument(texts, policies, errors);
  if (!errors.empty()) return {.errors = errors.Sorted()};
  ConfigCheck check{.config = ToConfig(document, policies)};
  if (!host.cores.empty()) ResolveCpus(check.config, host, errors);
  check.errors = errors.Sorted();
  return check;
}

absl::StatusOr<Config> ParseConfig(const std::string& text, const std::string& file,
                                   absl::Span<const PolicyOptions> policies) {
  const ConfigText only = {file, text};
  return ParseConfig(absl::MakeConstSpan(&only, 1), policies);
}

absl::StatusOr<Config> LoadConfig(const std::string& file,
                                  absl::Span<const PolicyOptions> policies) {
  const absl::StatusOr<std::vector<ConfigText>> texts = ReadConfigTexts(file);
  if (!texts.ok()) return texts.status();
  return ParseConfig(*texts, policies);
}

}  // namespace corral
