// SPDX-License-Identifier: Apache-2.0
// What an operator can set about a policy: a table that the policy declares, and values that were
// validated against it.
//
// One table serves the validation of corral.yaml, its documentation, and the agent that receives
// the values. Values are written as text in YAML ("20ms", "true", "3") and travel to the agent as
// JSON in the same form. Plain values, any thread. Not for the hot path: read them once.
#ifndef CORRAL_AGENT_RUNTIME_OPTIONS_H_
#define CORRAL_AGENT_RUNTIME_OPTIONS_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "kernel/types.h"

namespace corral {

enum class OptionType {
  kBool,      // true or false
  kInt,       // a whole number in `unit`
  kDuration,  // "500us", "20ms", "1s"
  kChoice,    // one of `choices`
};

struct OptionSpec {
  absl::string_view name;
  OptionType type = OptionType::kInt;
  absl::string_view default_value;
  absl::string_view min;  // kInt, kDuration: inclusive; empty: no bound
  absl::string_view max;
  absl::Span<const absl::string_view> choices;
  absl::string_view unit;  // of a kInt, for displays
  absl::string_view help;  // one sentence
};

// "20ms" and the like, up to 24 h. InvalidArgument; less than a nanosecond is refused.
absl::StatusOr<Duration> ParseDuration(absl::string_view text);

class OptionValues {
 public:
  // The defaults of the table, which must outlive the values.
  static OptionValues Defaults(absl::Span<const OptionSpec> table);
  // Values that ToJson() wrote, validated again. InvalidArgument names the option.
  static absl::StatusOr<OptionValues> FromJson(absl::Span<const OptionSpec> table,
                                               absl::string_view json);

  // Validates and sets one value. NotFound: no such option. InvalidArgument: what is wrong and what
  // would be right.
  absl::Status Set(absl::string_view name, absl::string_view value);
  std::string ToJson() const;

  // Of options that the table has, with the type that it says; otherwise false, 0 or "".
  bool GetBool(absl::string_view name) const;
  int64_t GetInt(absl::string_view name) const;
  Duration GetDuration(absl::string_view name) const;
  std::string GetChoice(absl::string_view name) const;

  bool operator==(const OptionValues& other) const { return values_ == other.values_; }

 private:
  std::string Text(absl::string_view name) const;

  absl::Span<const OptionSpec> table_;
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_OPTIONS_H_
