// SPDX-License-Identifier: Apache-2.0
// What went wrong, or was told, in a stretch of samples. Pure functions; any thread.
#ifndef CORRAL_AGENT_REPORT_INCIDENTS_H_
#define CORRAL_AGENT_REPORT_INCIDENTS_H_

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "agent/report/sample.h"

namespace corral::report {

struct Incident {
  enum class Gravity {
    kBroken,   // isolation is not what it should be
    kWarning,  // something does not work as it should, and isolation holds
    kNote,
  };
  absl::Time from, until;
  Gravity gravity = Gravity::kNote;
  std::string what;  // a few words; the same for incidents of the same kind
  std::string text;  // a sentence
  uint64_t times = 1;
};

// By time. What goes on through samples that follow each other is one incident.
std::vector<Incident> FindIncidents(absl::Span<const Sample> samples);

}  // namespace corral::report

#endif  // CORRAL_AGENT_REPORT_INCIDENTS_H_
