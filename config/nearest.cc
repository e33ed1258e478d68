// SPDX-License-Identifier: Apache-2.0
#include "config/nearest.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace corral {
namespace {

// Nobody mistypes more than this; a huge key must not cost a huge table.
constexpr size_t kMaxWord = 64;

size_t Distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row.back();
}

}  // namespace

std::string Advice(const std::string& word, const std::vector<std::string>& words) {
  if (words.empty()) return "there are none";
  std::string nearest;
  size_t least = std::numeric_limits<size_t>::max();
  for (const std::string& candidate : words) {
    const size_t distance = Distance(word.substr(0, kMaxWord), candidate);
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  const bool close = least <= std::max<size_t>(2, nearest.size() / 2);
  return close ? absl::StrCat("did you mean \"", nearest, "\"?")
               : absl::StrCat("there are: ", absl::StrJoin(words, ", "));
}

}  // namespace corral
