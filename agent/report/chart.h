// SPDX-License-Identifier: Apache-2.0
// Pictures of figures over time, as SVG to stand in the page: its style sheet has their colours,
// by class. Each has a title and a description for who does not see it.
//
// Pure functions; any thread.
#ifndef CORRAL_AGENT_REPORT_CHART_H_
#define CORRAL_AGENT_REPORT_CHART_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/report/summary.h"

namespace corral::report {

// The time that pictures are of, and how it is told.
struct Span {
  absl::Time from, until;
  bool simulated = false;  // counted from 0 on
  absl::TimeZone zone;
};
// "14:05", "14:05:30" or "1.5 s"; a distance of less than `step` between two can be told.
std::string TimeText(const Span& span, absl::Time at, absl::Duration step);

struct Line {
  const Series* values = nullptr;
  const char* style = "";  // class: used, guaranteed, waited, missed, idle, hands
  std::string name;
  bool filled = false;
};
struct Chart {
  std::string id;  // unique in the page
  std::string title;
  std::string description;
  std::vector<Line> lines;  // a later one is drawn over those before it
  double top = 0;           // what the axis has room for at least
  int height = 200;
};
// Of CPUs over time, with axes and the names of the lines.
std::string Draw(const Chart& chart, const Span& span);

// Use and guarantee in a line of a table; says nothing that its figures do not say.
std::string DrawSmall(const DomainSummary& domain);

// A row for each core, in the order given, darker where more vCPUs wait beside an idle sibling.
std::string DrawCores(const std::vector<CoreSummary>& cores, const std::string& description,
                      const Span& span);

}  // namespace corral::report

#endif  // CORRAL_AGENT_REPORT_CHART_H_
