// SPDX-License-Identifier: Apache-2.0
// A filter: copies stdin to stdout. For the line "@KEYS PATH@" it writes the keys of that map of
// corral.yaml in mdoc, from their table (PATH is "." for the document, or such as
// trust_domains.rules), for "@POLICIES@" the policies and their options from theirs, and for
// "@EVENTS@" what corrald tells.
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/events/event.h"
#include "config/keys.h"
#include "packaging/man/mdoc.h"
#include "policies/registry.h"

namespace corral {
namespace {

std::string Capital(absl::string_view text) {
  std::string capital(text);
  if (!capital.empty()) capital[0] = absl::ascii_toupper(capital[0]);
  return capital;
}

// What stands behind the colon: "observe | enforce", or what the value is called.
std::string ArgumentOf(const KeySpec& key) {
  std::string words = absl::StrJoin(key.choices, " | ");
  if (key.type == KeyType::kBool) words = "true | false";
  if (!words.empty() && !key.argument.empty()) absl::StrAppend(&words, " | ");
  absl::StrAppend(&words, key.argument);
  return words;
}

std::string LimitsOf(const KeySpec& key) {
  std::string limits;
  if (key.required) absl::StrAppend(&limits, "Must be there.\n");
  if (key.type == KeyType::kName) {
    absl::StrAppend(&limits, "A small letter, then up to ", key.max_length - 1,
                    " small letters, digits, hyphens and underscores.\n");
  }
  if (key.type == KeyType::kTime)
    absl::StrAppend(&limits, "From ", key.min, " to ", key.max, ".\n");
  if (key.shape == KeyShape::kOneOrMore)
    absl::StrAppend(&limits, "One, or a list of up to ", key.max_count, ".\n");
  if (key.shape == KeyShape::kList) absl::StrAppend(&limits, "Up to ", key.max_count, ".\n");
  if (!key.default_value.empty())
    absl::StrAppend(&limits, "The default is\n.Cm ", key.default_value, " .\n");
  return limits;
}

void Print(const KeySpec& key) {
  std::cout << ".It Cm " << key.name << " : Ar " << ArgumentOf(key) << "\n"
            << Mdoc(key.help) << LimitsOf(key);
}

const KeySpec* MapAt(absl::string_view path) {
  const KeySpec* map = &RootKey();
  for (const absl::string_view name : absl::StrSplit(path, '.', absl::SkipEmpty())) {
    if (map != nullptr) map = FindKey(*map, name);
  }
  return map;
}

bool PrintKeys(absl::string_view path) {
  const KeySpec* const map = MapAt(path);
  if (map == nullptr) {
    std::cerr << "there is no key " << path << "\n";
    return false;
  }
  std::cout << ".Bl -tag -width Ds\n";
  for (const KeySpec& key : map->keys) Print(key);
  std::cout << ".El\n";
  return true;
}

std::string Kind(const OptionSpec& option) {
  switch (option.type) {
    case OptionType::kBool:
      return "true or false";
    case OptionType::kInt:
      return absl::StrCat("a whole number", option.unit.empty() ? "" : " of ", option.unit);
    case OptionType::kDuration:
      return "a time";
    case OptionType::kChoice:
      return absl::StrCat("one of ", absl::StrJoin(option.choices, ", "));
  }
  return "";
}

void Print(const OptionSpec& option) {
  const std::string bounds = absl::StrCat(option.min.empty() ? "" : " from ", option.min,
                                          option.max.empty() ? "" : " to ", option.max);
  std::cout << ".It Cm " << Escaped(option.name) << "\n"
            << Escaped(option.help) << "\n"
            << Escaped(absl::StrCat("It is ", Kind(option), bounds, "; the default is ",
                                    option.default_value, "."))
            << "\n";
}

void Print(const PolicyInfo& policy) {
  std::cout << ".Ss " << Escaped(policy.name) << "\n"
            << Escaped(Capital(absl::StrCat(policy.summary, "."))) << "\n";
  if (policy.options.empty()) {
    std::cout << "It has no options.\n";
    return;
  }
  std::cout << ".Bl -tag -width Ds\n";
  for (const OptionSpec& option : policy.options) Print(option);
  std::cout << ".El\n";
}

void Print(const EventSpec& event) {
  std::cout << ".It Cm " << event.name << "\n"
            << Mdoc(absl::StrCat(event.subject, ".")) << Mdoc(event.meaning) << ".br\n.Em To do :\n"
            << Mdoc(event.runbook) << ".br\n.Li MESSAGE_ID=" << event.message_id << "\n";
}

// False: the line asks for what is not there.
bool Copy(const std::string& line) {
  absl::string_view path = line;
  if (absl::ConsumePrefix(&path, "@KEYS ") && absl::ConsumeSuffix(&path, "@"))
    return PrintKeys(path);
  if (line == "@POLICIES@") {
    for (const PolicyInfo& policy : Policies()) Print(policy);
  } else if (line == "@EVENTS@") {
    for (const EventSpec& event : Events()) Print(event);
  } else {
    std::cout << line << "\n";
  }
  return true;
}

}  // namespace
}  // namespace corral

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    if (!corral::Copy(line)) return 1;
  }
  return std::cout.flush() ? 0 : 1;
}
