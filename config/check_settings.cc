// SPDX-License-Identifier: Apache-2.0
#include "config/check_settings.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "config/nearest.h"

namespace corral {
namespace {

const PolicyOptions* FindPolicy(absl::Span<const PolicyOptions> policies, absl::string_view name) {
  const auto policy = std::find_if(policies.begin(), policies.end(),
                                   [&](const PolicyOptions& p) { return p.name == name; });
  return policy == policies.end() ? nullptr : &*policy;
}

bool Violates(const Setting& map, const KeyRule& rule) {
  const Setting* const key = map.Find(rule.key);
  if (key == nullptr || !key->valid || (!rule.when.empty() && key->text != rule.when)) return false;
  const Setting* const other = map.Find(rule.other);
  // What is wrong by itself has been told.
  if (other != nullptr && !other->valid) return false;
  switch (rule.wants) {
    case KeyRule::Wants::kAbsent:
      return other != nullptr;
    case KeyRule::Wants::kPresent:
      return other == nullptr || (other->spec->shape == KeyShape::kList && other->members.empty());
    case KeyRule::Wants::kValue:
      return other == nullptr || other->text != rule.value;
  }
  return false;
}

class Checker {
 public:
  Checker(absl::Span<const PolicyOptions> policies, FileErrors& errors)
      : policies_(policies), errors_(errors) {}

  void Check(Setting& root) {
    CheckRules(root);
    if (const Setting* const trust = root.Find("trust_domains")) CheckCount(*trust, "rules");
    CheckCount(root, "enclaves");
    Setting* const enclaves = root.Find("enclaves");
    if (enclaves == nullptr) return;
    for (size_t i = 0; i < enclaves->members.size(); ++i) {
      Setting& enclave = enclaves->members[i];
      CheckRules(enclave);
      CheckOptions(enclave);
      for (size_t k = 0; k < i; ++k) CheckAgainst(enclave, enclaves->members[k]);
    }
  }

 private:
  // Each file may have few enough, and all together too many.
  void CheckCount(const Setting& map, absl::string_view key) {
    const Setting* const list = map.Find(key);
    if (list == nullptr || list->members.size() <= list->spec->max_count) return;
    errors_.Add(list->members.back().position,
                absl::StrCat("with this, ", key, " has ", list->members.size(),
                             " entries in all files; there may be ", list->spec->max_count));
  }

  void CheckRules(const Setting& map) {
    for (const KeyRule& rule : map.spec->rules) {
      if (Violates(map, rule)) errors_.Add(map.Find(rule.key)->position, std::string(rule.message));
    }
  }

  void CheckOptions(Setting& enclave) {
    const Setting* const named = enclave.Find("policy");
    const std::string name(enclave.TextOf("policy"));
    const PolicyOptions* const policy = FindPolicy(policies_, name);
    if (named != nullptr && !named->valid) return;
    if (policy == nullptr) {
      std::vector<std::string> names;
      for (const PolicyOptions& p : policies_) names.emplace_back(p.name);
      return errors_.Add(
          named != nullptr ? named->position : enclave.position,
          absl::StrCat("there is no policy ", Quoted(name), "; ", Advice(name, names)));
    }
    Setting* const options = enclave.Find("options");
    if (options == nullptr) return;
    OptionValues values = OptionValues::Defaults(policy->options);
    for (Setting& option : options->members) CheckOption(policy->options, values, option);
  }

  void CheckOption(absl::Span<const OptionSpec> table, OptionValues& values, Setting& option) {
    const auto spec = std::find_if(table.begin(), table.end(),
                                   [&](const OptionSpec& s) { return s.name == option.key; });
    if (spec == table.end()) {
      std::vector<std::string> known;
      for (const OptionSpec& s : table) known.emplace_back(s.name);
      return errors_.Add(option.key_position, absl::StrCat("there is no key ", Quoted(option.key),
                                                           " here; ", Advice(option.key, known)));
    }
    option.option = &*spec;
    if (!option.single) {
      return errors_.Add(option.position,
                         absl::StrCat(spec->name, " must be a single value; write for example ",
                                      spec->default_value));
    }
    const absl::Status status = values.Set(spec->name, option.text);
    const bool typed = spec->type == OptionType::kInt || spec->type == OptionType::kBool;
    if (!status.ok()) {
      errors_.Add(option.position, std::string(status.message()));
    } else if (typed && option.quoted) {
      errors_.Add(option.position,
                  absl::StrCat(spec->name, " ", Quoted(option.text), " is text; write ",
                               option.text, " without quotation marks"));
    }
  }

  // An enclave in a message: by name if it has a good one.
  static std::string Label(const Setting& enclave) {
    const absl::string_view name = enclave.TextOf("name");
    return name.empty() ? absl::StrCat("of line ", enclave.position.line) : std::string(name);
  }

  static FilePosition PositionOf(const Setting& enclave, absl::string_view key) {
    const Setting* const setting = enclave.Find(key);
    return setting == nullptr ? enclave.position : setting->position;
  }

  void CheckAgainst(const Setting& enclave, const Setting& other) {
    if (!enclave.valid || !other.valid) return;
    const std::string both = absl::StrCat("enclaves ", Label(other), " and ", Label(enclave));
    if (!enclave.TextOf("vms").empty() && !other.TextOf("vms").empty()) {
      errors_.Add(PositionOf(enclave, "vms"),
                  absl::StrCat(both, " both hold VMs; leave \"vms\" in one"));
    }
    CheckCpus(enclave, other, both);
  }

  void CheckCpus(const Setting& enclave, const Setting& other, const std::string& both) {
    for (const Setting* one : {&enclave, &other}) {
      const Setting* const cpus = one->Find("cpus");
      if (cpus != nullptr && !cpus->valid) return;
    }
    const FilePosition where = PositionOf(enclave, "cpus");
    const bool all = enclave.Is("cpus", "auto"), all_other = other.Is("cpus", "auto");
    if (all && all_other)
      errors_.Add(where, absl::StrCat(both, " both have \"cpus: auto\"; give one a cpulist"));
    if (all || all_other) return;
    const absl::StatusOr<CpuSet> mine = CpuSet::Parse(enclave.TextOf("cpus"));
    const absl::StatusOr<CpuSet> its = CpuSet::Parse(other.TextOf("cpus"));
    if (!mine.ok() || !its.ok() || !mine->Intersects(*its)) return;
    const CpuSet shared = *mine & *its;
    errors_.Add(where, absl::StrCat(shared.size() == 1 ? "CPU " : "CPUs ", shared.Format(),
                                    shared.size() == 1 ? " is" : " are", " in enclave ",
                                    Label(other), " and in enclave ", Label(enclave), "; take ",
                                    shared.size() == 1 ? "it" : "them", " out of one"));
  }

  const absl::Span<const PolicyOptions> policies_;
  FileErrors& errors_;
};

void AddOptionDefaults(Setting& options, absl::Span<const OptionSpec> table) {
  std::vector<Setting> complete;
  for (const OptionSpec& spec : table) {
    Setting* const said = options.Find(spec.name);
    complete.push_back(said != nullptr ? std::move(*said)
                                       : Setting{.key = std::string(spec.name),
                                                 .option = &spec,
                                                 .text = std::string(spec.default_value)});
  }
  options.members = std::move(complete);
}

void AddDefaultsToMap(Setting& map, absl::Span<const PolicyOptions> policies) {
  std::vector<Setting> complete;
  for (const KeySpec& key : map.spec->keys) {
    Setting* const said = map.Find(key.name);
    const bool one_map =
        key.shape == KeyShape::kOne && (key.type == KeyType::kMap || key.type == KeyType::kOptions);
    if (said == nullptr && key.default_value.empty() && !one_map) continue;
    complete.push_back(said != nullptr ? std::move(*said)
                                       : Setting{.key = std::string(key.name),
                                                 .spec = &key,
                                                 .text = std::string(key.default_value)});
    Setting& setting = complete.back();
    if (key.type == KeyType::kMap && key.shape == KeyShape::kOne)
      AddDefaultsToMap(setting, policies);
    if (key.type == KeyType::kMap && key.shape == KeyShape::kList) {
      for (Setting& entry : setting.members) AddDefaultsToMap(entry, policies);
    }
  }
  map.members = std::move(complete);
  Setting* const options = map.Find("options");
  const PolicyOptions* const policy = FindPolicy(policies, map.TextOf("policy"));
  if (options != nullptr && policy != nullptr) AddOptionDefaults(*options, policy->options);
}

}  // namespace

void CheckSettings(Setting& root, absl::Span<const PolicyOptions> policies, FileErrors& errors) {
  Checker(policies, errors).Check(root);
}

void AddDefaults(Setting& root, absl::Span<const PolicyOptions> policies) {
  AddDefaultsToMap(root, policies);
}

}  // namespace corral
