// SPDX-License-Identifier: Apache-2.0
// A filter: copies stdin to stdout. For the line "@KEYS PATH@" it writes the keys of that map of
// corral.yaml in mdoc, from their table (PATH is "." for the document, or such as
// trust_domains.rules), and for "@POLICIES@" the policies and their options from theirs.
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "config/keys.h"
#include "policies/registry.h"

namespace corral {
namespace {

// Text that roff takes as it is.
std::string Escaped(absl::string_view text) {
  const std::string safe = absl::StrReplaceAll(text, {{"\\", "\\e"}});
  return absl::StrCat(safe.empty() || safe[0] == '.' || safe[0] == '\'' ? "\\&" : "", safe);
}

std::string Capital(absl::string_view text) {
  std::string capital(text);
  if (!capital.empty()) capital[0] = absl::ascii_toupper(capital[0]);
  return capital;
}

// Split at spaces, but not within `quotation`.
std::vector<std::string> Words(absl::string_view text) {
  std::vector<std::string> words(1);
  bool quoted = false;
  for (const char c : text) {
    quoted = quoted != (c == '`');
    if (c == ' ' && !quoted) {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

// A word that is a macro in mdoc, with the punctuation around it: "(`isolate`)," or "corrald(8).".
// "" if it is none.
std::string MacroOf(absl::string_view word) {
  const bool opened = absl::ConsumePrefix(&word, "(");
  std::string macro;
  absl::string_view rest;
  const size_t page = word.find('(');
  if (absl::ConsumePrefix(&word, "`")) {
    macro = absl::StrCat("Cm ", opened ? "( " : "", Escaped(word.substr(0, word.find('`'))));
    rest = word.substr(word.find('`') + 1);
  } else if (page != absl::string_view::npos && page > 0 && page + 2 < word.size() &&
             absl::ascii_isdigit(word[page + 1])) {
    macro = absl::StrCat("Xr ", opened ? "( " : "", word.substr(0, page), " ",
                         word.substr(page + 1, 1));
    rest = word.substr(page + 3);
  } else {
    return "";
  }
  for (const char punctuation : rest) absl::StrAppend(&macro, " ", std::string(1, punctuation));
  return absl::StrCat(".", macro);
}

// Help as config/keys.h describes it. Each macro has a line, and each sentence begins one.
std::string Mdoc(absl::string_view help) {
  std::vector<std::string> lines;
  bool ended = true;
  for (const std::string& word : Words(help)) {
    const std::string macro = MacroOf(word);
    if (!macro.empty()) {
      lines.push_back(macro);
      ended = true;
      continue;
    }
    if (ended) lines.push_back(Escaped(word));
    if (!ended) absl::StrAppend(&lines.back(), " ", word);
    ended = absl::EndsWith(word, ".");
  }
  return absl::StrCat(absl::StrJoin(lines, "\n"), "\n");
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

// False: the line asks for what is not there.
bool Copy(const std::string& line) {
  absl::string_view path = line;
  if (absl::ConsumePrefix(&path, "@KEYS ") && absl::ConsumeSuffix(&path, "@"))
    return PrintKeys(path);
  if (line == "@POLICIES@") {
    for (const PolicyInfo& policy : Policies()) Print(policy);
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
