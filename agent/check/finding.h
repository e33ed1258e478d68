// SPDX-License-Identifier: Apache-2.0
// What `corralctl check` finds out: one fact about a host or a kernel, judged. Plain values.
//
// Ids are part of the interface: scripts and monitoring filter by them. `fact` is one printable
// line whatever was read, and `remedy` says what to do; it is empty if there is nothing to do.
#ifndef CORRAL_AGENT_CHECK_FINDING_H_
#define CORRAL_AGENT_CHECK_FINDING_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "kernel/one_line.h"

namespace corral {

enum class Level {
  kOk,
  kWarn,  // Corral can run; something is worse than it need be, or could not be judged
  kFail,  // Corral cannot run, or must not
};

struct Finding {
  Level level = Level::kOk;
  std::string id;
  std::string fact;
  std::string remedy;
};

using Findings = std::vector<Finding>;

const char* LevelName(Level level);  // "ok", "warn", "fail"

// Adds one, in lines as OneLine makes them.
void Add(Findings& findings, Level level, absl::string_view id, absl::string_view fact,
         absl::string_view remedy = "");

bool AnyFails(const Findings& findings);

}  // namespace corral

#endif  // CORRAL_AGENT_CHECK_FINDING_H_
