// SPDX-License-Identifier: Apache-2.0
// A filter: copies stdin to stdout, and for the line "@POLICIES@" the policies and their options in
// mdoc, from their own tables.
#include <iostream>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "policies/registry.h"

namespace corral {
namespace {

// Text that roff takes as it is.
std::string Escaped(absl::string_view text) {
  const std::string safe = absl::StrReplaceAll(text, {{"\\", "\\e"}});
  return absl::StrCat(safe.empty() || safe[0] == '.' || safe[0] == '\'' ? "\\&" : "", safe);
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
  std::string summary = absl::StrCat(policy.summary, ".");
  summary[0] = absl::ascii_toupper(summary[0]);
  std::cout << ".Ss " << Escaped(policy.name) << "\n" << Escaped(summary) << "\n";
  if (policy.options.empty()) {
    std::cout << "It has no options.\n";
    return;
  }
  std::cout << ".Bl -tag -width Ds\n";
  for (const OptionSpec& option : policy.options) Print(option);
  std::cout << ".El\n";
}

}  // namespace
}  // namespace corral

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    if (line != "@POLICIES@") {
      std::cout << line << "\n";
      continue;
    }
    for (const corral::PolicyInfo& policy : corral::Policies()) corral::Print(policy);
  }
  return std::cout.flush() ? 0 : 1;
}
