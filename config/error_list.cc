// SPDX-License-Identifier: Apache-2.0
#include "config/error_list.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace corral {

std::string Quoted(absl::string_view text) {
  constexpr size_t kMaxQuoted = 64;
  const bool whole = text.size() <= kMaxQuoted;
  return absl::StrCat("\"", absl::Utf8SafeCHexEscape(text.substr(0, kMaxQuoted)),
                      whole ? "" : "...", "\"");
}

void ErrorList::Add(int line, int column, std::string what) {
  if (errors_.size() < kMaxTold) {
    errors_.push_back({line, column, std::move(what)});
  } else {
    ++untold_;
  }
}

absl::Status ErrorList::ToStatus() const {
  if (errors_.empty()) return absl::OkStatus();
  std::vector<Error> sorted = errors_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Error& a, const Error& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  std::string text;
  for (const Error& error : sorted) {
    absl::StrAppend(&text, text.empty() ? "" : "\n", file_, ":");
    if (error.line > 0) absl::StrAppend(&text, error.line, ":");
    if (error.line > 0 && error.column > 0) absl::StrAppend(&text, error.column, ":");
    absl::StrAppend(&text, " ", error.what);
  }
  if (untold_ > 0) absl::StrAppend(&text, "\n", file_, ": and ", untold_, " more errors");
  return absl::InvalidArgumentError(text);
}

}  // namespace corral
