// SPDX-License-Identifier: Apache-2.0
// What readers of our YAML files have in common: each error with its place, keys that nobody knows,
// and values of the usual kinds.
//
// It never follows a node that its user does not ask for, so neither aliases nor depth multiply its
// work. One thread.
#ifndef CORRAL_CONFIG_NODE_READER_H_
#define CORRAL_CONFIG_NODE_READER_H_

#include <yaml-cpp/yaml.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "config/error_list.h"
#include "kernel/cpu_set.h"

namespace corral {

// YAML takes a scalar in quotation marks for text, whatever it looks like.
bool IsQuoted(const YAML::Node& scalar);

class NodeReader {
 public:
  explicit NodeReader(ErrorList& errors) : errors_(errors) {}
  ErrorList& errors() const { return errors_; }

  void Error(const YAML::Node& where, std::string what);
  // The scalar's text; nothing and an error if it is a list, a map or empty.
  std::optional<std::string> Text(const YAML::Node& node, absl::string_view name,
                                  absl::string_view example);
  // An error for each key of the map that is not in `known`, or there twice.
  void CheckKeys(const YAML::Node& map, const std::vector<std::string>& known);
  // The same of a map whose keys are not known yet, for those that are there twice.
  void CheckRepetitions(const YAML::Node& map);
  // Of a file: version 1, and no other.
  void ReadVersion(const YAML::Node& root);
  std::optional<CpuSet> ReadCpus(const YAML::Node& node, absl::string_view name);

 private:
  void CheckMap(const YAML::Node& map, const std::vector<std::string>* known);

  ErrorList& errors_;
};

}  // namespace corral

#endif  // CORRAL_CONFIG_NODE_READER_H_
