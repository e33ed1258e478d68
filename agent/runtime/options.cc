// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/options.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"

namespace corral {
namespace {

const OptionSpec* Find(absl::Span<const OptionSpec> table, absl::string_view name) {
  const auto spec =
      std::find_if(table.begin(), table.end(), [&](const OptionSpec& s) { return s.name == name; });
  return spec == table.end() ? nullptr : &*spec;
}

absl::Status Wrong(const OptionSpec& spec, absl::string_view value, absl::string_view right) {
  return absl::InvalidArgumentError(
      absl::StrCat(spec.name, ": \"", absl::CHexEscape(value.substr(0, 64)), "\" is not ", right));
}

// " from 1ms to 1s", with only the bounds that there are.
std::string Range(const OptionSpec& spec) {
  return absl::StrCat(spec.min.empty() ? "" : " from ", spec.min, spec.max.empty() ? "" : " to ",
                      spec.max, spec.unit.empty() ? "" : " ", spec.unit);
}

absl::Status CheckInt(const OptionSpec& spec, absl::string_view value) {
  int64_t number = 0, bound = 0;
  if (!absl::SimpleAtoi(value, &number) || (absl::SimpleAtoi(spec.min, &bound) && number < bound) ||
      (absl::SimpleAtoi(spec.max, &bound) && number > bound)) {
    return Wrong(spec, value, absl::StrCat("a whole number", Range(spec)));
  }
  return absl::OkStatus();
}

absl::Status CheckDuration(const OptionSpec& spec, absl::string_view value) {
  const absl::StatusOr<Duration> time = ParseDuration(value);
  const absl::StatusOr<Duration> min = ParseDuration(spec.min);
  const absl::StatusOr<Duration> max = ParseDuration(spec.max);
  if (!time.ok() || (min.ok() && *time < *min) || (max.ok() && *time > *max)) {
    return Wrong(spec, value,
                 absl::StrCat("a time", Range(spec), "; write for example ", spec.default_value));
  }
  return absl::OkStatus();
}

absl::Status Check(const OptionSpec& spec, absl::string_view value) {
  switch (spec.type) {
    case OptionType::kBool:
      return value == "true" || value == "false" ? absl::OkStatus()
                                                 : Wrong(spec, value, "true or false");
    case OptionType::kInt:
      return CheckInt(spec, value);
    case OptionType::kDuration:
      return CheckDuration(spec, value);
    case OptionType::kChoice:
      if (std::find(spec.choices.begin(), spec.choices.end(), value) != spec.choices.end())
        return absl::OkStatus();
      return Wrong(spec, value, absl::StrCat("one of ", absl::StrJoin(spec.choices, ", ")));
  }
  return absl::InternalError("unknown option type");
}

}  // namespace

absl::StatusOr<Duration> ParseDuration(absl::string_view text) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration < absl::Nanoseconds(1) ||
      duration > absl::Hours(24)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", absl::CHexEscape(text.substr(0, 64)),
                                                   "\" is not a time; write for example 500us, "
                                                   "20ms or 1s"));
  }
  return Duration(absl::ToInt64Nanoseconds(duration));
}

OptionValues OptionValues::Defaults(absl::Span<const OptionSpec> table) {
  OptionValues values;
  values.table_ = table;
  for (const OptionSpec& spec : table)
    values.values_[std::string(spec.name)] = std::string(spec.default_value);
  return values;
}

absl::Status OptionValues::Set(absl::string_view name, absl::string_view value) {
  const OptionSpec* const spec = Find(table_, name);
  if (spec == nullptr) {
    return absl::NotFoundError(absl::StrCat(
        "there is no option ", name,
        "; there are: ", absl::StrJoin(table_, ", ", [](std::string* out, const OptionSpec& s) {
          absl::StrAppend(out, s.name);
        })));
  }
  if (const absl::Status status = Check(*spec, value); !status.ok()) return status;
  values_[std::string(name)] = std::string(value);
  return absl::OkStatus();
}

absl::StatusOr<OptionValues> OptionValues::FromJson(absl::Span<const OptionSpec> table,
                                                    absl::string_view json) {
  OptionValues values = Defaults(table);
  if (json.empty()) return values;
  const nlohmann::json parsed = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return absl::InvalidArgumentError("the options are not a JSON object");
  for (const auto& [name, value] : parsed.items()) {
    if (!value.is_string())
      return absl::InvalidArgumentError(absl::StrCat("option ", name, " is not a JSON string"));
    if (const absl::Status status = values.Set(name, value.get<std::string>()); !status.ok()) {
      return absl::InvalidArgumentError(status.message());
    }
  }
  return values;
}

std::string OptionValues::ToJson() const { return nlohmann::json(values_).dump(); }

std::string OptionValues::Text(absl::string_view name) const {
  const auto value = values_.find(name);
  return value == values_.end() ? "" : value->second;
}

bool OptionValues::GetBool(absl::string_view name) const { return Text(name) == "true"; }

int64_t OptionValues::GetInt(absl::string_view name) const {
  int64_t number = 0;
  return absl::SimpleAtoi(Text(name), &number) ? number : 0;
}

Duration OptionValues::GetDuration(absl::string_view name) const {
  const absl::StatusOr<Duration> time = ParseDuration(Text(name));
  return time.ok() ? *time : Duration::zero();
}

std::string OptionValues::GetChoice(absl::string_view name) const { return Text(name); }

}  // namespace corral
