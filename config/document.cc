// SPDX-License-Identifier: Apache-2.0
#include "config/document.h"

#include <algorithm>

#include "config/check_settings.h"
#include "config/value.h"
#include "config/yaml_text.h"

namespace corral {
namespace {

// The words of a kChoice stand in the order of the enum.
template <typename Enum>
Enum ChoiceOf(const Setting& map, absl::string_view key) {
  const absl::Span<const absl::string_view> choices = FindKey(*map.spec, key)->choices;
  return static_cast<Enum>(std::find(choices.begin(), choices.end(), map.TextOf(key)) -
                           choices.begin());
}

std::vector<std::string> TextsOf(const Setting& one_or_more) {
  if (one_or_more.members.empty()) return {one_or_more.text};
  std::vector<std::string> texts;
  for (const Setting& entry : one_or_more.members) texts.push_back(entry.text);
  return texts;
}

CpuSet CpusOf(absl::string_view text) { return CpuSet::Parse(text).value_or(CpuSet()); }

Vms VmsOf(const Setting& enclave) {
  if (enclave.TextOf("vms").empty()) return Vms::kNone;
  return enclave.Is("vms", "libvirt") ? Vms::kLibvirt : Vms::kQemu;
}

OptionValues OptionsOf(const Setting& enclave, absl::Span<const PolicyOptions> policies) {
  OptionValues values;
  for (const PolicyOptions& policy : policies) {
    if (enclave.Is("policy", policy.name)) values = OptionValues::Defaults(policy.options);
  }
  for (const Setting& option : enclave.Find("options")->members)
    (void)values.Set(option.key, option.text);  // It was checked.
  return values;
}

EnclaveConfig ToEnclave(const Setting& enclave, absl::Span<const PolicyOptions> policies) {
  EnclaveConfig config{.name = std::string(enclave.TextOf("name")),
                       .policy = std::string(enclave.TextOf("policy")),
                       .options = OptionsOf(enclave, policies),
                       .vms = VmsOf(enclave),
                       .admission = ChoiceOf<Admission>(enclave, "admission"),
                       .isolate = ChoiceOf<Isolate>(enclave, "isolate"),
                       .without_agent = ChoiceOf<WithoutAgent>(enclave, "without_agent"),
                       .strict = enclave.Is("strict", "true"),
                       .tickless = enclave.Is("tickless", "true"),
                       .cgroup = CgroupPath(enclave.TextOf("cgroup")),
                       .position = enclave.position,
                       .cpus_position = enclave.Find("cpus")->position,
                       .tickless_position = enclave.Find("tickless")->position};
  if (const Setting* const units = enclave.Find("units")) config.units = TextsOf(*units);
  if (const Setting* const processes = enclave.Find("processes"))
    config.processes = TextsOf(*processes);
  if (!enclave.Is("cpus", "auto")) config.cpus = CpusOf(enclave.TextOf("cpus"));
  return config;
}

}  // namespace

std::string NameOf(Mode mode) {
  return std::string(FindKey(RootKey(), "mode")->choices[static_cast<size_t>(mode)]);
}

std::vector<std::string> NamesOf(absl::Span<const ConfigText> texts) {
  std::vector<std::string> names;
  for (const ConfigText& text : texts) names.push_back(text.file);
  return names;
}

Document ReadDocument(absl::Span<const ConfigText> texts, absl::Span<const PolicyOptions> policies,
                      FileErrors& errors) {
  Document document{.files = NamesOf(texts)};
  bool all_read = true;
  for (int file = 0; file < static_cast<int>(texts.size()); ++file) {
    bool read = false;
    ParseYaml(texts[file].text, "a corral.yaml", errors.of(file), [&](const YAML::Node& root) {
      Setting settings = ReadSettings(root, file, errors);
      read = root.IsMap();
      if (file == 0) {
        document.root = std::move(settings);
      } else {
        Merge(document.root, std::move(settings));
      }
    });
    all_read = all_read && read;
  }
  // What a file that is no map might have said would only lead to more errors.
  if (all_read) CheckSettings(document.root, policies, errors);
  if (errors.empty()) AddDefaults(document.root, policies);
  return document;
}

// Checked; `off` is no time.
Duration DurationOf(const Setting& setting, absl::string_view key) {
  return ParseDuration(setting.TextOf(key)).value_or(Duration(0));
}

Config ToConfig(const Document& document, absl::Span<const PolicyOptions> policies) {
  const Setting& root = document.root;
  Config config{.files = document.files,
                .mode = ChoiceOf<Mode>(root, "mode"),
                .mode_position = root.Find("mode")->position,
                .class_loss = ChoiceOf<ClassLoss>(root, "class_loss"),
                .whole_host = root.Is("scope", "host"),
                .switch_trial = DurationOf(root, "switch_trial"),
                .libvirt_uris = TextsOf(*root.Find("libvirt")->Find("uri"))};
  if (const Setting* const cpus = root.Find("housekeeping")) {
    config.housekeeping = CpusOf(cpus->text).Format();
    config.housekeeping_position = cpus->position;
  }
  config.samples = DurationOf(root, "samples");
  const Setting& trust = *root.Find("trust_domains");
  config.nova_projects = trust.Is("nova_projects", "true");
  if (const Setting* const rules = trust.Find("rules")) {
    for (const Setting& rule : rules->members)
      config.trust_rules.push_back({std::string(rule.TextOf("name")), TextsOf(*rule.Find("vms"))});
  }
  if (const Setting* const enclaves = root.Find("enclaves")) {
    for (const Setting& enclave : enclaves->members)
      config.enclaves.push_back(ToEnclave(enclave, policies));
  }
  return config;
}

}  // namespace corral
