// SPDX-License-Identifier: Apache-2.0
// What files say, as a tree of the known keys with the place of each: read by the table of keys,
// one tree for each file, then merged into one. Only config/ includes this.
//
// Values are checked one by one when they are read. What depends on several of them is checked when
// all files are merged (check_settings.h). Plain values; any thread.
#ifndef CORRAL_CONFIG_SETTING_H_
#define CORRAL_CONFIG_SETTING_H_

#include <yaml-cpp/yaml.h>

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "agent/runtime/options.h"
#include "config/error_list.h"
#include "config/keys.h"

namespace corral {

struct Setting {
  std::string key;                     // "" of an entry of a list
  const KeySpec* spec = nullptr;       // nullptr: an option of a policy
  const OptionSpec* option = nullptr;  // of such a one, once its policy is known
  FilePosition position;               // of the value
  FilePosition key_position;           // of an option's key
  bool valid = true;                   // false: it is wrong, and that was told
  bool single = true;                  // false: an option that is a list, a map or empty
  bool quoted = false;                 // an option that stands in quotation marks
  std::string text;                    // of a single value
  std::vector<Setting> members;        // the values of a map, the entries of a list

  // nullptr: it is not there.
  const Setting* Find(absl::string_view name) const;
  Setting* Find(absl::string_view name);
  // Of a map: the text of a value that is there and right, or else its default.
  absl::string_view TextOf(absl::string_view name) const;
  bool Is(absl::string_view name, absl::string_view text) const { return TextOf(name) == text; }
};

// Reads one file. Adds every error to `errors`, as of `file`. May throw what yaml-cpp throws. It
// never follows a node that the table does not know, so neither aliases nor depth multiply its
// work.
Setting ReadSettings(const YAML::Node& root, int file, FileErrors& errors);

// What `over` says wins: maps are merged key by key, enclaves and rules by their names, and
// anything else is replaced. Options belong to a policy: another policy drops those of the one
// before.
void Merge(Setting& base, Setting over);

}  // namespace corral

#endif  // CORRAL_CONFIG_SETTING_H_
