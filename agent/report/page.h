// SPDX-License-Identifier: Apache-2.0
// One page of HTML that tells what a summary says: whole by itself, without scripts, and nothing in
// it is loaded from anywhere. It is XML as well.
//
// Pure functions; any thread. Names of trust domains are hostile input, and are escaped.
#ifndef CORRAL_AGENT_REPORT_PAGE_H_
#define CORRAL_AGENT_REPORT_PAGE_H_

#include <string>

#include "absl/time/time.h"
#include "agent/report/summary.h"

namespace corral::report {

struct PageOptions {
  std::string subject;         // whose report it is: a host's name, or a scenario
  absl::TimeZone zone;         // that times are told in; of a simulation, none
  size_t damaged_samples = 0;  // that were skipped
};

std::string Page(const Summary& summary, const PageOptions& options);

}  // namespace corral::report

#endif  // CORRAL_AGENT_REPORT_PAGE_H_
