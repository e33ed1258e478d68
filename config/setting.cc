// SPDX-License-Identifier: Apache-2.0
#include "config/setting.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "config/node_reader.h"
#include "config/value.h"

namespace corral {
namespace {

// What an entry of a list is called, without its article.
absl::string_view Thing(const KeySpec& list) { return list.item.substr(list.item.find(' ') + 1); }

bool SameName(const Setting& a, const Setting& b) {
  const absl::string_view name = a.TextOf("name");
  return !name.empty() && name == b.TextOf("name");
}

// Reads the table's structure out of a document.
class Reader : private NodeReader {
 public:
  Reader(int file, FileErrors& errors) : NodeReader(errors.of(file)), file_(file) {}

  Setting Read(const YAML::Node& root) {
    Setting setting = Begin(RootKey(), root);
    if (root.IsMap()) {
      ReadMap(root, "", setting);
    } else {
      Refuse(setting, root, "this is not a corral.yaml; it begins with \"version: 1\"");
    }
    return setting;
  }

 private:
  Setting Begin(const KeySpec& spec, const YAML::Node& node) const {
    const YAML::Mark mark = node.Mark();
    return {.key = std::string(spec.name),
            .spec = &spec,
            .position = {.file = file_, .line = mark.line + 1, .column = mark.column + 1}};
  }

  void Refuse(Setting& setting, const YAML::Node& where, std::string what) {
    Error(where, std::move(what));
    setting.valid = false;
  }

  Setting ReadKey(const KeySpec& spec, const YAML::Node& node, const std::string& label) {
    Setting setting = Begin(spec, node);
    if (spec.shape != KeyShape::kOne && node.IsSequence()) {
      ReadList(node, label, setting);
    } else if (spec.shape == KeyShape::kList) {
      Refuse(setting, node, absl::StrCat(label, " must be a list, such as [", spec.example, "]"));
    } else {
      ReadOne(node, label, setting);
    }
    return setting;
  }

  void ReadList(const YAML::Node& node, const std::string& label, Setting& setting) {
    const KeySpec& spec = *setting.spec;
    if (node.size() < spec.min_count || node.size() > spec.max_count) {
      return Refuse(setting, node,
                    absl::StrCat(label, " has ", node.size(), " entries; there may be ",
                                 spec.min_count > 0 ? absl::StrCat(spec.min_count, " to ") : "",
                                 spec.max_count));
    }
    for (const YAML::Node& entry : node) {
      Setting item = Begin(spec, entry);
      item.key.clear();
      ReadOne(entry, spec.item.empty() ? label : std::string(spec.item), item);
      CheckNewEntry(entry, label, setting, item);
      setting.members.push_back(std::move(item));
    }
  }

  // Two of one name in a file are a mistake; in two files they are merged.
  void CheckNewEntry(const YAML::Node& where, const std::string& label, const Setting& list,
                     const Setting& item) {
    for (const Setting& other : list.members) {
      if (SameName(item, other)) {
        return Error(
            where, absl::StrCat("there are two ", Thing(*list.spec), "s named ",
                                item.TextOf("name"), "; the other is in line ", other.position.line,
                                "; make one of them, or give one another name"));
      }
      if (list.spec->unique && item.valid && item.text == other.text)
        return Error(where,
                     absl::StrCat(label, " ", Quoted(item.text), " is given twice; take one out"));
    }
  }

  // One value, or one entry of a list.
  void ReadOne(const YAML::Node& node, const std::string& label, Setting& setting) {
    const KeySpec& spec = *setting.spec;
    const bool is_map = spec.type == KeyType::kMap || spec.type == KeyType::kOptions;
    if (!is_map) return ReadScalar(node, label, setting);
    if (spec.type == KeyType::kOptions && node.IsNull()) return;
    if (!node.IsMap()) {
      return Refuse(setting, node, absl::StrCat(label, " must be a map, such as ", spec.example));
    }
    if (spec.type == KeyType::kOptions) return ReadOptions(node, setting);
    ReadMap(node, spec.item.empty() ? absl::StrCat(label, ".") : "", setting);
  }

  void ReadMap(const YAML::Node& node, const std::string& prefix, Setting& setting) {
    std::vector<std::string> known;
    for (const KeySpec& key : setting.spec->keys) known.emplace_back(key.name);
    CheckKeys(node, known);
    for (const KeySpec& key : setting.spec->keys) {
      if (const YAML::Node value = node[std::string(key.name)]) {
        setting.members.push_back(ReadKey(key, value, absl::StrCat(prefix, key.name)));
      } else if (key.required) {
        Refuse(setting, node, Missing(*setting.spec, key));
      }
    }
  }

  static std::string Missing(const KeySpec& map, const KeySpec& key) {
    if (map.item.empty())
      return absl::StrCat(key.name, " is missing; write \"", key.name, ": ", key.example, "\"");
    return absl::StrCat("this ", Thing(map), " has no ", key.name, "; write for example \"",
                        key.name, ": ", key.example, "\"");
  }

  // Which options there are depends on the policy, which another file may name.
  void ReadOptions(const YAML::Node& node, Setting& setting) {
    CheckRepetitions(node);
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) continue;
      Setting option = Begin(*setting.spec, entry.second);
      option.spec = nullptr;
      option.key = entry.first.Scalar();
      option.key_position = Begin(*setting.spec, entry.first).position;
      option.single = entry.second.IsScalar();
      if (option.single) option.text = entry.second.Scalar();
      option.quoted = IsQuoted(entry.second);
      setting.members.push_back(std::move(option));
    }
  }

  void ReadScalar(const YAML::Node& node, const std::string& label, Setting& setting) {
    const KeySpec& spec = *setting.spec;
    const std::optional<std::string> text = Text(node, label, spec.example);
    if (!text) {
      setting.valid = false;
      return;
    }
    setting.text = *text;
    if (const absl::Status status = CheckValue(spec, label, *text, IsQuoted(node)); !status.ok())
      Refuse(setting, node, std::string(status.message()));
  }

  const int file_;
};

// Of two lists of maps with names, or of two maps.
void MergeMembers(Setting& base, Setting over,
                  absl::FunctionRef<bool(const Setting&, const Setting&)> same) {
  for (Setting& member : over.members) {
    const auto found = std::find_if(base.members.begin(), base.members.end(),
                                    [&](const Setting& other) { return same(member, other); });
    if (found == base.members.end()) {
      base.members.push_back(std::move(member));
    } else {
      Merge(*found, std::move(member));
    }
  }
}

bool IsMap(const Setting& setting) {
  return setting.spec != nullptr &&
         (setting.spec->type == KeyType::kMap || setting.spec->type == KeyType::kOptions);
}

}  // namespace

const Setting* Setting::Find(absl::string_view name) const {
  const auto member =
      std::find_if(members.begin(), members.end(), [&](const Setting& m) { return m.key == name; });
  return member == members.end() ? nullptr : &*member;
}

Setting* Setting::Find(absl::string_view name) {
  return const_cast<Setting*>(std::as_const(*this).Find(name));
}

absl::string_view Setting::TextOf(absl::string_view name) const {
  const Setting* const member = Find(name);
  if (member != nullptr && member->valid) return member->text;
  const KeySpec* const key = spec == nullptr ? nullptr : FindKey(*spec, name);
  return key == nullptr ? "" : key->default_value;
}

Setting ReadSettings(const YAML::Node& root, int file, FileErrors& errors) {
  return Reader(file, errors).Read(root);
}

void Merge(Setting& base, Setting over) {
  // A list and one of its entries have the same spec; only the list has a key.
  const bool list = IsMap(base) && base.spec->shape == KeyShape::kList && !base.key.empty();
  if (!IsMap(base)) {
    base = std::move(over);
  } else if (list) {
    MergeMembers(base, std::move(over), SameName);
  } else {
    if (over.Find("policy") != nullptr && !over.Is("policy", base.TextOf("policy")))
      std::erase_if(base.members, [](const Setting& m) { return m.key == "options"; });
    MergeMembers(base, std::move(over),
                 [](const Setting& a, const Setting& b) { return a.key == b.key; });
  }
}

}  // namespace corral
