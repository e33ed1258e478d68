// SPDX-License-Identifier: Apache-2.0
#include "agent/check/finding.h"

#include <algorithm>

namespace corral {

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
