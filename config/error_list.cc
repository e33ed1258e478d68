// SPDX-License-Identifier: Apache-2.0
#include "config/error_list.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace corral {
namespace {

absl::Status StatusOf(const std::vector<ConfigError>& errors) {
  if (errors.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(
      errors, "\n",
      [](std::string* out, const ConfigError& error) { absl::StrAppend(out, error.Text()); }));
}

}  // namespace

std::string Quoted(absl::string_view text) {
  constexpr size_t kMaxQuoted = 64;
  const bool whole = text.size() <= kMaxQuoted;
  return absl::StrCat("\"", absl::Utf8SafeCHexEscape(text.substr(0, kMaxQuoted)),
                      whole ? "" : "...", "\"");
}

std::string ConfigError::Text() const {
  std::string text = absl::StrCat(file, ":");
  if (line > 0) absl::StrAppend(&text, line, ":");
  if (line > 0 && column > 0) absl::StrAppend(&text, column, ":");
  return absl::StrCat(text, " ", what);
}

void ErrorList::Add(int line, int column, std::string what) {
  if (errors_.size() < kMaxTold) {
    errors_.push_back({file_, line, column, std::move(what)});
  } else {
    ++untold_;
  }
}

std::vector<ConfigError> ErrorList::Sorted() const {
  std::vector<ConfigError> sorted = errors_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const ConfigError& a, const ConfigError& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  if (untold_ > 0) sorted.push_back({file_, 0, 0, absl::StrCat("and ", untold_, " more errors")});
  return sorted;
}

absl::Status ErrorList::ToStatus() const { return StatusOf(Sorted()); }

FileErrors::FileErrors(const std::vector<std::string>& files) {
  for (const std::string& file : files) lists_.emplace_back(file);
}

void FileErrors::Add(const FilePosition& where, std::string what) {
  lists_[std::max(where.file, 0)].Add(where.line, where.column, std::move(what));
}

bool FileErrors::empty() const {
  return std::all_of(lists_.begin(), lists_.end(), [](const ErrorList& l) { return l.empty(); });
}

std::vector<ConfigError> FileErrors::Sorted() const {
  std::vector<ConfigError> all;
  for (const ErrorList& list : lists_) {
    for (ConfigError& error : list.Sorted()) all.push_back(std::move(error));
  }
  return all;
}

absl::Status FileErrors::ToStatus() const { return StatusOf(Sorted()); }

}  // namespace corral
