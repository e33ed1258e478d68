// SPDX-License-Identifier: Apache-2.0
#include "config/show.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "config/document.h"

namespace corral {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kSourceColumn = 40;

bool IsMap(const Setting& s) {
  return s.spec != nullptr && (s.spec->type == KeyType::kMap || s.spec->type == KeyType::kOptions);
}
// Of entries of a list, only the list has a key.
bool IsList(const Setting& s) {
  if (s.spec == nullptr || s.key.empty()) return false;
  return s.spec->shape == KeyShape::kList || !(IsMap(s) || s.members.empty());
}

// Yaml as text: what it looks like is what the reader takes it for.
std::string Scalar(const std::string& text) {
  YAML::Emitter emitter;
  emitter << text;
  return emitter.c_str();
}

// A number or a switch, or a text.
Json Typed(const Setting& s) {
  const bool is_bool =
      s.option != nullptr ? s.option->type == OptionType::kBool : s.spec->type == KeyType::kBool;
  const bool is_int =
      s.option != nullptr ? s.option->type == OptionType::kInt : s.spec->type == KeyType::kVersion;
  int64_t number = 0;
  if (is_bool) return s.text == "true";
  if (is_int && absl::SimpleAtoi(s.text, &number)) return number;
  return s.text;
}

Json Value(const Setting& s) {
  if (IsList(s)) {
    Json list = Json::array();
    for (const Setting& entry : s.members) list.push_back(Value(entry));
    return list;
  }
  if (!IsMap(s)) return Typed(s);
  Json map = Json::object();
  for (const Setting& member : s.members) map[member.key] = Value(member);
  return map;
}

class Writer {
 public:
  explicit Writer(const std::vector<std::string>& files) : files_(files) {
    const std::string folder = std::filesystem::path(files.front()).parent_path().string();
    prefix_ = folder.empty() ? "" : absl::StrCat(folder, "/");
  }

  std::string Yaml(const Setting& root) {
    Map(root, "");
    return out_;
  }

 private:
  // `first` begins the first line, where an entry of a list has its dash.
  void Map(const Setting& map, const std::string& indent, const std::string& first = "") {
    std::string begin = first.empty() ? indent : first;
    for (const Setting& member : map.members) {
      Member(member, begin, indent);
      begin = indent;
    }
  }

  void Member(const Setting& s, const std::string& begin, const std::string& indent) {
    const std::string key = absl::StrCat(begin, Scalar(s.key), ":");
    if (!IsMap(s) && !IsList(s)) return Line(absl::StrCat(key, " ", Scalar(s.text)), &s);
    if (s.members.empty()) return Line(absl::StrCat(key, IsList(s) ? " []" : " {}"), &s);
    Line(key, IsList(s) ? &s : nullptr);
    if (!IsList(s)) return Map(s, absl::StrCat(indent, "  "));
    for (const Setting& entry : s.members) {
      if (IsMap(entry)) {
        Map(entry, absl::StrCat(indent, "    "), absl::StrCat(indent, "  - "));
      } else {
        Line(absl::StrCat(indent, "  - ", Scalar(entry.text)), nullptr);
      }
    }
  }

  void Line(std::string text, const Setting* said) {
    if (said != nullptr) {
      text.append(text.size() < kSourceColumn ? kSourceColumn - text.size() : 0, ' ');
      absl::StrAppend(&text, " # ", Source(said->position));
    }
    absl::StrAppend(&out_, text, "\n");
  }

  std::string Source(const FilePosition& where) const {
    if (where.file < 0) return "default";
    const absl::string_view file = absl::StripPrefix(files_[where.file], prefix_);
    return absl::StrCat(absl::Utf8SafeCHexEscape(file), ":", where.line);
  }

  const std::vector<std::string>& files_;
  std::string prefix_;
  std::string out_;
};

void AddValues(const Setting& s, const std::string& path, const std::vector<std::string>& files,
               Json& values) {
  const bool maps = IsList(s) && s.spec->type == KeyType::kMap;
  if ((IsMap(s) && !IsList(s)) || maps) {
    for (const Setting& member : s.members) {
      const std::string name = maps ? std::string(member.TextOf("name")) : member.key;
      AddValues(member, path.empty() ? name : absl::StrCat(path, ".", name), files, values);
    }
    return;
  }
  Json source = nullptr;
  if (s.position.file >= 0) {
    source = {
        {"file", files[s.position.file]}, {"line", s.position.line}, {"column", s.position.column}};
  }
  values.push_back({{"key", path}, {"value", Value(s)}, {"source", source}});
}

}  // namespace

absl::StatusOr<EffectiveConfig> ShowConfig(absl::Span<const ConfigText> texts,
                                           absl::Span<const PolicyOptions> policies) {
  FileErrors errors(NamesOf(texts));
  const Document document = ReadDocument(texts, policies, errors);
  if (!errors.empty()) return errors.ToStatus();
  Json values = Json::array();
  AddValues(document.root, "", document.files, values);
  return EffectiveConfig{
      .yaml = Writer(document.files).Yaml(document.root),
      .json = {{"files", document.files}, {"config", Value(document.root)}, {"values", values}}};
}

}  // namespace corral
