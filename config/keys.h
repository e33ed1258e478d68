// SPDX-License-Identifier: Apache-2.0
// Every key of corral.yaml, once: what a value may be, what stands where there is none, and what it
// is for. The file is validated by this table, and from it come the JSON Schema (json_schema.h),
// corral.yaml(5) and `corralctl config show`.
//
// The options of policies have tables of the same kind, of their own: agent/runtime/options.h.
// Immutable; any thread.
#ifndef CORRAL_CONFIG_KEYS_H_
#define CORRAL_CONFIG_KEYS_H_

#include <cstddef>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace corral {

enum class KeyType {
  kVersion,  // the number 1
  kBool,     // true or false
  kChoice,   // one of `choices`
  kName,     // a small letter, then small letters, digits, - and _; `max_length` in all
  kCpus,     // a cpulist that is not empty, or one of `choices`
  kUri,
  kCgroup,   // a path below the cgroup file system, and not out of it
  kUnit,     // the name of a systemd service, scope or slice
  kGlob,     // a name of what `argument` says, in which * and ? stand for any characters
  kTime,     // "20ms" and the like, from `min` to `max`, or one of `choices`
  kPolicy,   // the name of a policy
  kOptions,  // a map of the options of the enclave's policy
  kMap,      // a map of `keys`
};

enum class KeyShape {
  kOne,
  kOneOrMore,  // one, or a list of `min_count` to `max_count`
  kList,       // a list of `min_count` to `max_count`
};

// What one key of a map demands of another one, when it is there (with the value `when`, if that is
// not empty).
struct KeyRule {
  enum class Wants {
    kAbsent,
    kPresent,  // and if it is a list, not an empty one
    kValue,    // `value`
  };
  absl::string_view key;
  absl::string_view when;
  absl::string_view other;
  Wants wants = Wants::kAbsent;
  absl::string_view value;
  absl::string_view message;  // what is wrong and what would be right
};

struct KeySpec {
  absl::string_view name;
  KeyType type = KeyType::kMap;
  KeyShape shape = KeyShape::kOne;
  bool required = false;
  bool unique = false;              // no entry of a list may be there twice
  absl::string_view default_value;  // as it would be written; "": none
  absl::Span<const absl::string_view> choices;
  absl::string_view min;  // kTime: inclusive
  absl::string_view max;
  size_t max_length = 0;
  size_t min_count = 0;
  size_t max_count = 0;
  absl::Span<const KeySpec> keys;
  absl::Span<const KeyRule> rules;
  // Of a list of maps: one of them in a sentence. Drop-ins know them by their `name`.
  absl::string_view item;
  absl::string_view example;   // a value
  absl::string_view argument;  // what a manual page calls the value; "": `choices` say it
  absl::string_view advice;    // ends a message about a wrong value; may be empty
  // Sentences. `x` is a word of the file or a file name, page(5) a manual page, a blank line begins
  // a new paragraph.
  absl::string_view help;
};

// The document: a map without a name.
const KeySpec& RootKey();
// nullptr: there is none.
const KeySpec* FindKey(const KeySpec& map, absl::string_view name);

}  // namespace corral

#endif  // CORRAL_CONFIG_KEYS_H_
