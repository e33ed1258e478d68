// SPDX-License-Identifier: Apache-2.0
#include "kernel/one_line.h"

namespace corral {
namespace {

constexpr size_t kMaxText = 600;

}  // namespace

std::string OneLine(absl::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kMaxText)) {
    if (c == '\n') {
      out += "; ";
    } else {
      out += c < ' ' || c > '~' ? '?' : c;
    }
  }
  if (text.size() > kMaxText) out += "...";
  return out;
}

}  // namespace corral
