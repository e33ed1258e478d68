// SPDX-License-Identifier: Apache-2.0
#include "packaging/man/mdoc.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace corral {
namespace {

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

}  // namespace

std::string Escaped(absl::string_view text) {
  const std::string safe = absl::StrReplaceAll(text, {{"\\", "\\e"}});
  return absl::StrCat(safe.empty() || safe[0] == '.' || safe[0] == '\'' ? "\\&" : "", safe);
}

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

}  // namespace corral
