// SPDX-License-Identifier: Apache-2.0
#include "config/node_reader.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "config/nearest.h"

namespace corral {

bool IsQuoted(const YAML::Node& scalar) { return scalar.Tag() == "!"; }

void NodeReader::Error(const YAML::Node& where, std::string what) {
  const YAML::Mark mark = where.Mark();
  errors_.Add(mark.line + 1, mark.column + 1, std::move(what));
}

std::optional<std::string> NodeReader::Text(const YAML::Node& node, absl::string_view name,
                                            absl::string_view example) {
  if (node.IsScalar()) return node.Scalar();
  Error(node, absl::StrCat(name, node.IsNull() ? " has no value" : " must be a single value",
                           "; write for example ", example));
  return std::nullopt;
}

void NodeReader::CheckKeys(const YAML::Node& map, const std::vector<std::string>& known) {
  CheckMap(map, &known);
}

void NodeReader::CheckRepetitions(const YAML::Node& map) { CheckMap(map, nullptr); }

void NodeReader::CheckMap(const YAML::Node& map, const std::vector<std::string>* known) {
  std::set<std::string> seen;
  for (const auto& entry : map) {
    if (!entry.first.IsScalar()) {
      Error(
          entry.first,
          absl::StrCat(
              "a key must be a single word",
              known == nullptr ? "" : absl::StrCat("; there are: ", absl::StrJoin(*known, ", "))));
      continue;
    }
    const std::string& key = entry.first.Scalar();
    if (!seen.insert(key).second) {
      Error(entry.first, absl::StrCat(Quoted(key), " is given twice; take one out"));
    } else if (known != nullptr && std::find(known->begin(), known->end(), key) == known->end()) {
      Error(entry.first,
            absl::StrCat("there is no key ", Quoted(key), " here; ", Advice(key, *known)));
    }
  }
}

void NodeReader::ReadVersion(const YAML::Node& root) {
  const YAML::Node node = root["version"];
  if (!node) return Error(root, "version is missing; write \"version: 1\"");
  const std::optional<std::string> version = Text(node, "version", "1");
  if (version && *version != "1") {
    Error(node, "this Corral reads version 1 only");
  }
}

std::optional<CpuSet> NodeReader::ReadCpus(const YAML::Node& node, absl::string_view name) {
  const std::optional<std::string> text = Text(node, name, "\"0-3,8\"");
  if (!text) return std::nullopt;
  const absl::StatusOr<CpuSet> cpus = CpuSet::Parse(*text);
  if (cpus.ok() && !cpus->empty()) return *cpus;
  Error(node, absl::StrCat(name, ": ", Quoted(*text), " is not a list of CPUs from 0 to ",
                           CpuSet::kMaxCpus - 1, "; write for example \"0-3,8\""));
  return std::nullopt;
}

}  // namespace corral
