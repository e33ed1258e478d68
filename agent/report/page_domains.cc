// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "agent/pictures/svg.h"
#include "agent/report/page_parts.h"

namespace corral::report {
namespace {

struct Reason {
  const char* name;
  const char* fill;
};
// By ghost_wait.
constexpr Reason kReasons[] = {
    {"another domain's turn", pictures::kPalette[0].fill},
    {"beside an idle sibling", pictures::kPalette[1].fill},
    {"vCPUs of its own domain", pictures::kPalette[2].fill},
    {"its cap", pictures::kPalette[3].fill},
    {"a CPU that it may use", pictures::kPalette[4].fill},
    {"threads of the host", pictures::kPalette[5].fill},
    {"its core to change hands", pictures::kPalette[6].fill},
    {"its agent", "#777777"},
};
static_assert(std::size(kReasons) == GHOST_NR_WAITS);

std::string Cell(const std::string& text, bool bad = false) {
  return absl::StrCat("<td class=\"n", bad ? " bad" : "", "\">", text, "</td>");
}

std::string Share(double part) { return PercentText(part, 1); }

double Waited(const DomainSummary& d) {
  const double wanted = d.used_s + d.all_waited_s;
  return wanted > 0 ? d.all_waited_s / wanted : 0;
}

std::string WaitText(const DomainSummary& d, Duration wait) {
  if (d.waits == 0) return "-";
  if (wait == Duration::max()) return "&gt; 1s";
  return absl::FormatDuration(absl::FromChrono(wait));
}

std::string Row(const DomainSummary& d, size_t index) {
  const std::string vcpus =
      absl::StrCat(d.vcpus, d.refused > 0 ? absl::StrCat(", ", d.refused, " refused") : "");
  return absl::StrCat("<tr><th scope=\"row\" class=\"name\"><a href=\"#d", index, "\">",
                      NameHtml(d.name), "</a></th>", Cell(vcpus, d.refused > 0),
                      Cell(Figure(d.guaranteed)), Cell(Figure(d.used)), "<td>", DrawSmall(d),
                      "</td>", Cell(Share(Waited(d))), Cell(WaitText(d, d.wait.p50)),
                      Cell(WaitText(d, d.wait.p90)), Cell(WaitText(d, d.wait.p99)),
                      Cell(SecondsText(d.missed_s), d.missed_s > 0),
                      Cell(SecondsText(d.unprotected_s), d.unprotected_s > 0),
                      Cell(PercentText(d.local_s, d.local_s + d.remote_s)), "</tr>\n");
}

std::string WaitBar(const DomainSummary& d) {
  std::string out =
      "<svg class=\"bar\" aria-hidden=\"true\" preserveAspectRatio=\"none\" "
      "viewBox=\"0 0 1000 10\">";
  int64_t x = 0;
  for (int why = 0; why < GHOST_NR_WAITS; ++why) {
    const auto width = static_cast<int64_t>(1000 * d.waited_s[why] / d.all_waited_s);
    if (width > 0) {
      absl::StrAppend(&out, "<rect x=\"", x, "\" width=\"", width, "\" height=\"10\" fill=\"",
                      kReasons[why].fill, "\"/>");
    }
    x += width;
  }
  return out + "</svg>\n";
}

std::string WaitTable(const DomainSummary& d) {
  if (d.all_waited_s <= 0) return "<p>It never waited for a CPU.</p>\n";
  std::string out = WaitBar(d);
  absl::StrAppend(&out, "<table class=\"narrow\"><caption>What its vCPUs waited for, ",
                  SecondsText(d.all_waited_s),
                  " in all.</caption><thead><tr><th scope=\"col\">For</th><th scope=\"col\" "
                  "class=\"n\">Time</th><th scope=\"col\" class=\"n\">Of all "
                  "waits</th></tr></thead><tbody>\n");
  for (int why = 0; why < GHOST_NR_WAITS; ++why) {
    if (d.waited_s[why] <= 0) continue;
    absl::StrAppend(&out, "<tr><th scope=\"row\"><svg class=\"why\" aria-hidden=\"true\" ",
                    "viewBox=\"0 0 1 1\"><rect width=\"1\" height=\"1\" fill=\"",
                    kReasons[why].fill, "\"/></svg> ", kReasons[why].name, "</th>",
                    Cell(SecondsText(d.waited_s[why])),
                    Cell(PercentText(d.waited_s[why], d.all_waited_s)), "</tr>\n");
  }
  return out + "</tbody></table>\n";
}

std::string Locality(const DomainSummary& d) {
  const double known = d.local_s + d.remote_s;
  if (known <= 0) return "Which NUMA node its memory is on is not known.";
  return absl::StrCat("On the NUMA node of its memory it ran ", PercentText(d.local_s, known),
                      " of its time (", SecondsText(d.remote_s), " elsewhere).");
}

// What there is to tell, so that a domain that was promised nothing has no line of it.
std::vector<Line> Lines(const DomainSummary& d) {
  std::vector<Line> lines = {{&d.used_over_time, "used", "used", true},
                             {&d.waited_over_time, "waited", "waiting for one", false}};
  if (d.guaranteed > 0) lines.push_back({&d.guaranteed_over_time, "guaranteed", "guaranteed"});
  if (d.missed_s > 0) lines.push_back({&d.missed_over_time, "missed", "missed", true});
  return lines;
}

std::string InWords(const DomainSummary& d) {
  std::string words = absl::StrCat("It used ", Figure(d.used), " CPUs in the mean and ",
                                   Figure(d.most_used), " at most.");
  if (d.guaranteed > 0) {
    absl::StrAppend(
        &words, " It was guaranteed ", Figure(d.guaranteed), " and missed ",
        d.missed_s > 0 ? absl::StrCat(SecondsText(d.missed_s), " of that.") : "none of that.");
  }
  if (d.refused > 0) {
    absl::StrAppend(&words, " The budgets of ", d.refused, d.refused == 1 ? " vCPU" : " vCPUs",
                    " were refused.");
  }
  if (d.unprotected > 0) {
    absl::StrAppend(&words, " Up to ", d.unprotected,
                    d.unprotected == 1 ? " vCPU was" : " vCPUs were", " unprotected.");
  }
  return words;
}

std::string Detail(const DomainSummary& d, size_t index, const Span& span) {
  const std::string words = InWords(d);
  const Chart chart = {.id = absl::StrCat("d", index, "-chart"),
                       .title = absl::StrCat("Use and guarantee of ", d.name, ", in CPUs"),
                       .description = words,
                       .lines = Lines(d),
                       .top = 0.01,
                       .height = 130};
  return absl::StrCat(
      "<details><summary><h3>", NameHtml(d.name), "</h3> <span class=\"soft\">", d.vcpus,
      d.vcpus == 1 ? " vCPU on " : " vCPUs on ", d.cores, d.cores == 1 ? " core" : " cores",
      "</span></summary>\n<div class=\"inside\" id=\"d", index, "\">\n<p>", words, " ", Locality(d),
      "</p>\n", Draw(chart, span), WaitTable(d), "</div></details>\n");
}

}  // namespace

std::string DomainsSection(const Summary& summary) {
  std::string out = absl::StrCat(
      "<section aria-labelledby=\"domains\"><h2 id=\"domains\">Trust domains</h2>\n"
      "<p>Those that need attention first, then by use. Each name leads to more about it.");
  if (summary.omitted > 0) {
    absl::StrAppend(&out, " Up to ", summary.omitted,
                    " more, the least used ones, were not recorded.");
  }
  absl::StrAppend(
      &out,
      "</p>\n<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Trust "
      "domains\"><table>\n<caption>Figures in CPUs are means. Waited is the part of the time in "
      "which its vCPUs wanted a CPU that they waited for one, and a wait is how long each took "
      "at most.</caption>\n<thead><tr><th scope=\"col\">Domain</th><th scope=\"col\" "
      "class=\"n\">vCPUs</th><th scope=\"col\" class=\"n\">Guaranteed<br/>CPUs</th><th "
      "scope=\"col\" class=\"n\">Used<br/>CPUs</th><th scope=\"col\">Use over time</th><th "
      "scope=\"col\" class=\"n\">Waited</th><th scope=\"col\" class=\"n\">Wait<br/>p50</th><th "
      "scope=\"col\" "
      "class=\"n\">Wait<br/>p90</th><th scope=\"col\" class=\"n\">Wait<br/>p99</th><th "
      "scope=\"col\" class=\"n\">Missed</th><th scope=\"col\" "
      "class=\"n\">Unpro-<br/>tected</th><th scope=\"col\" "
      "class=\"n\">NUMA-<br/>local</th></tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < summary.domains.size(); ++i) out += Row(summary.domains[i], i);
  return out + "</tbody></table></div></section>\n";
}

std::string DetailsSection(const Summary& summary, const Span& span) {
  std::string out =
      "<section aria-labelledby=\"details\"><h2 id=\"details\">Domain by domain</h2>\n";
  for (size_t i = 0; i < summary.domains.size(); ++i) out += Detail(summary.domains[i], i, span);
  return out + "</section>\n";
}

}  // namespace corral::report
