// SPDX-License-Identifier: Apache-2.0
// The sections of the page, each as HTML, and how figures are written in them. Only page*.cc
// include this.
#ifndef CORRAL_AGENT_REPORT_PAGE_PARTS_H_
#define CORRAL_AGENT_REPORT_PAGE_PARTS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "agent/report/chart.h"
#include "agent/report/summary.h"

namespace corral::report {

// page_style.cc
extern const absl::string_view kStyle;

// page_charts.cc
std::string UseSection(const Summary& summary, const Span& span);
std::string PriceSection(const Summary& summary, const Span& span);

// page_domains.cc
std::string DomainsSection(const Summary& summary);
std::string DetailsSection(const Summary& summary, const Span& span);

// "0.25", "12.5", "1230"; "0" of nothing, "0.00" of little.
std::string Figure(double value);
// "37.5%", "0.0%", "0%"; "-" of no whole.
std::string PercentText(double part, double whole);
// "0 s", "250 ms", "3.2 s", "5.1 min", "7.3 h".
std::string SecondsText(double seconds);
// A name that cannot change the direction of what is beside it.
std::string NameHtml(absl::string_view name);

}  // namespace corral::report

#endif  // CORRAL_AGENT_REPORT_PAGE_PARTS_H_
