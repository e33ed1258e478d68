// SPDX-License-Identifier: Apache-2.0
#include "agent/check/finding.h"

#include <algorithm>

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

const char* LevelName(Level level) {
  switch (level) {
    case Level::kOk:
      return "ok";
    case Level::kWarn:
      return "warn";
    case Level::kFail:
      return "fail";
  }
  return "fail";
}

void Add(Findings& findings, Level level, absl::string_view id, absl::string_view fact,
         absl::string_view remedy) {
  findings.push_back(
      {.level = level, .id = std::string(id), .fact = OneLine(fact), .remedy = OneLine(remedy)});
}

bool AnyFails(const Findings& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& f) { return f.level == Level::kFail; });
}

}  // namespace corral
