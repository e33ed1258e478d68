// SPDX-License-Identifier: Apache-2.0
#include "agent/report/page.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "agent/pictures/svg.h"
#include "agent/report/page_parts.h"

namespace corral::report {

std::string Figure(double value) {
  if (value <= 0) return "0";
  if (value >= 100) return absl::StrFormat("%.0f", value);
  return value < 10 ? absl::StrFormat("%.2f", value) : absl::StrFormat("%.1f", value);
}

std::string PercentText(double part, double whole) {
  if (whole <= 0) return "-";
  const double percent = 100 * part / whole;
  if (percent <= 0) return "0%";
  return percent >= 99.95 ? "100%" : absl::StrFormat("%.1f%%", percent);
}

std::string SecondsText(double seconds) {
  if (seconds <= 0) return "0 s";
  if (seconds < 0.001) return absl::StrFormat("%.3g \xc2\xb5s", 1e6 * seconds);
  if (seconds < 1) return absl::StrFormat("%.3g ms", 1000 * seconds);
  if (seconds < 120) return absl::StrFormat("%.3g s", seconds);
  if (seconds < 7200) return absl::StrFormat("%.1f min", seconds / 60);
  return absl::StrFormat("%.1f h", seconds / 3600);
}

std::string NameHtml(absl::string_view name) {
  return absl::StrCat("<bdi>", name.empty() ? "(no name)" : pictures::Escape(name), "</bdi>");
}

namespace {

using Gravity = Incident::Gravity;

constexpr size_t kMostIncidents = 200;

std::string When(const Span& span, absl::Time at) {
  if (span.simulated) return TimeText(span, at, absl::ZeroDuration());
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", at, span.zone);
}

std::string Tile(const char* kind, const char* name, const std::string& value,
                 const std::string& more) {
  return absl::StrCat("<div class=\"tile ", kind, "\"><dt>", name, "</dt><dd class=\"value\">",
                      value, "</dd><dd class=\"more\">", more, "</dd></div>\n");
}

std::string IsolationTile(const Summary& s) {
  const bool seen = s.audit && s.audit->enforced_s > 0;
  const std::string auditor =
      !s.audit ? "The auditor did not run."
               : absl::StrCat("Auditor: ", SecondsText(s.audit->enforced_s), " shared in ",
                              SecondsText(s.audit->watched_s),
                              s.audit->complete ? "." : ", but it has missed something.");
  return Tile(seen || s.breaches > 0          ? "broken"
              : s.audit && !s.audit->complete ? "warning"
                                              : "",
              "Isolation", seen || s.breaches > 0 ? "Broken" : "Held",
              absl::StrCat(s.breaches, s.breaches == 1 ? " breach" : " breaches",
                           " counted by the class. ", auditor));
}

std::string Tiles(const Summary& s) {
  const double wanted = s.used_s + s.waited_s;
  const double price = s.forced_idle_s + s.hand_over_s;
  uint32_t refused = 0;
  for (const DomainSummary& domain : s.domains) refused += domain.refused;
  return absl::StrCat(
      "<dl class=\"tiles\">\n", IsolationTile(s),
      Tile(s.unprotected_s > 0 ? "broken" : "", "Unprotected",
           s.unprotected_s > 0 ? SecondsText(s.unprotected_s) : "Never",
           "Time of vCPUs in the class that no core of their enclave may run."),
      Tile(s.missed_s > 0 || refused > 0 ? "warning" : "", "Guarantees",
           s.missed_s > 0 ? absl::StrCat(SecondsText(s.missed_s), " missed") : "Kept",
           absl::StrCat(PercentText(s.missed_s, s.guaranteed_s), " of what was guaranteed; ",
                        refused, " budgets refused.")),
      Tile("plain", "Waiting", PercentText(s.waited_s, wanted),
           "Of the time in which vCPUs wanted a CPU."),
      Tile("plain", "Price of isolation", PercentText(price, wanted),
           "Of that time too: waiting beside an idle sibling, or for a core to change hands."),
      Tile("plain", "NUMA-local", PercentText(s.local_s, s.local_s + s.remote_s),
           s.local_s + s.remote_s > 0 ? "Of the time of vCPUs whose memory's node is known."
                                      : "No vCPU's memory is known to be on one node."),
      "</dl>\n");
}

const char* BadgeOf(Gravity gravity) {
  switch (gravity) {
    case Gravity::kBroken:
      return "<span class=\"badge broken\">isolation</span>";
    case Gravity::kWarning:
      return "<span class=\"badge warning\">warning</span>";
    case Gravity::kNote:
      break;
  }
  return "<span class=\"badge\">note</span>";
}

std::string IncidentRow(const Incident& incident, const Span& span) {
  std::string when = When(span, incident.from);
  if (incident.until > incident.from)
    absl::StrAppend(&when, "<br/>to ", When(span, incident.until));
  return absl::StrCat("<tr><td class=\"n\">", when, "</td><td>", BadgeOf(incident.gravity),
                      "</td><th scope=\"row\">", pictures::Escape(incident.what),
                      "</th><td class=\"n\">", incident.times, "</td><td class=\"means\"><bdi>",
                      pictures::Escape(incident.text), "</bdi></td></tr>\n");
}

// The gravest, in the order of time.
std::vector<const Incident*> Shown(const Summary& summary) {
  std::vector<const Incident*> incidents;
  for (const Incident& incident : summary.incidents) incidents.push_back(&incident);
  std::stable_sort(incidents.begin(), incidents.end(),
                   [](const Incident* a, const Incident* b) { return a->gravity < b->gravity; });
  if (incidents.size() > kMostIncidents) incidents.resize(kMostIncidents);
  std::stable_sort(incidents.begin(), incidents.end(),
                   [](const Incident* a, const Incident* b) { return a->from < b->from; });
  return incidents;
}

std::string IncidentsSection(const Summary& summary, const Span& span) {
  std::string out = "<section aria-labelledby=\"incidents\"><h2 id=\"incidents\">Incidents</h2>\n";
  if (summary.incidents.empty()) return out + "<p>None.</p></section>\n";
  const std::vector<const Incident*> shown = Shown(summary);
  absl::StrAppend(
      &out,
      "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Incidents\"><table>\n"
      "<caption>What broke or endangered isolation or guarantees, and what corrald told. ",
      shown.size() < summary.incidents.size()
          ? absl::StrCat("The gravest ", shown.size(), " of ", summary.incidents.size(), ".")
          : "",
      "</caption>\n<thead><tr><th scope=\"col\" class=\"n\">When</th><th "
      "scope=\"col\">Kind</th><th scope=\"col\">What</th><th scope=\"col\" "
      "class=\"n\">Times</th><th scope=\"col\">Means</th></tr></thead>\n<tbody>\n");
  for (const Incident* incident : shown) out += IncidentRow(*incident, span);
  return out + "</tbody></table></div></section>\n";
}

// Of the auditor and what the class does not see.
std::string ExposureSection(const Summary& s) {
  std::string words = absl::StrCat("vCPUs in the class were unprotected for ",
                                   SecondsText(s.unprotected_s), " in all. ");
  if (!s.audit) {
    absl::StrAppend(&words,
                    "The auditor did not run, so nobody who shares nothing with the class has "
                    "looked: \"corralctl audit start\" has it do so in the background.");
  } else {
    absl::StrAppend(
        &words, "The auditor, which shares nothing with the class, watched for ",
        SecondsText(s.audit->watched_s), ". In that time siblings of a core ran two VMs for ",
        SecondsText(s.audit->enforced_s), " with both in the class, which must be 0, and ",
        SecondsText(s.audit->exposed_s),
        " with one that was not in it. Siblings idled beside a VM for ",
        SecondsText(s.audit->forced_idle_s), ", whether anybody wanted them or not.",
        s.audit->complete ? "" : " It has missed something, so there may be more.");
  }
  return absl::StrCat(
      "<section aria-labelledby=\"exposure\"><h2 id=\"exposure\">Exposure</h2>\n"
      "<p>",
      words, "</p></section>\n");
}

std::string LocalitySection(const Summary& s) {
  const double known = s.local_s + s.remote_s;
  const std::string words =
      known <= 0 ? "No vCPU's memory is known to be on one NUMA node, so there is nothing to tell."
                 : absl::StrCat("vCPUs whose memory is on one NUMA node ran there ",
                                PercentText(s.local_s, known), " of their time, and ",
                                SecondsText(s.remote_s), " on other nodes.");
  return absl::StrCat("<section aria-labelledby=\"numa\"><h2 id=\"numa\">NUMA locality</h2>\n<p>",
                      words, "</p></section>\n");
}

constexpr absl::string_view kWords =
    "<section aria-labelledby=\"words\"><h2 id=\"words\">What these figures are</h2>\n<dl "
    "class=\"words\">\n"
    "<dt>CPUs</dt><dd>A figure in CPUs is a mean: 1 is one CPU all the time.</dd>\n"
    "<dt>Waiting</dt><dd>A vCPU could run and had no CPU. Agents say why, once a second, so "
    "pictures lag by as much; of cores without an agent nobody says.</dd>\n"
    "<dt>Guaranteed, missed</dt><dd>Budgets that were granted. Missed is what was wanted of them "
    "and not had, for whatever reason but a cap, threads of the host included. Less than a period, "
    "or than agents are late, is not told from nothing.</dd>\n"
    "<dt>Forced idle</dt><dd>vCPUs that waited while a sibling of their core idled beside another "
    "domain's: what isolation costs. Siblings that idle while nobody waits cost nothing.</dd>\n"
    "<dt>NUMA-local</dt><dd>Where a vCPU was when it was looked at, once a second, beside where "
    "libvirt put its memory.</dd>\n</dl></section>\n";

std::string Header(const Summary& s, const PageOptions& options, const Span& span) {
  std::string about = absl::StrCat(
      s.simulated ? "Simulated, not measured: " : "From ", When(span, s.from), " to ",
      When(span, s.until), s.simulated ? "" : absl::FormatTime(" (%Z)", s.until, span.zone), ", ",
      s.samples, s.samples == 1 ? " sample. " : " samples. ", s.nr_cpus, " CPUs, ", s.nr_cores,
      " cores, ", s.nr_nodes, s.nr_nodes == 1 ? " NUMA node, " : " NUMA nodes, ", s.domains.size(),
      s.domains.size() == 1 ? " trust domain." : " trust domains.");
  if (options.damaged_samples > 0)
    absl::StrAppend(&about, " ", options.damaged_samples, " damaged samples were left out.");
  return absl::StrCat("<header>\n<h1>Corral: <bdi>", pictures::Escape(options.subject),
                      "</bdi></h1>\n<p class=\"soft\">", about,
                      "</p>\n<nav aria-label=\"Sections\"><ul>"
                      "<li><a href=\"#incidents\">Incidents</a></li>"
                      "<li><a href=\"#use\">Use against guarantee</a></li>"
                      "<li><a href=\"#price\">The price of isolation</a></li>"
                      "<li><a href=\"#domains\">Trust domains</a></li>"
                      "<li><a href=\"#numa\">NUMA locality</a></li>"
                      "<li><a href=\"#exposure\">Exposure</a></li>"
                      "<li><a href=\"#details\">Domain by domain</a></li>"
                      "<li><a href=\"#words\">What these figures are</a></li></ul></nav>\n",
                      Tiles(s), "</header>\n");
}

}  // namespace

std::string Page(const Summary& summary, const PageOptions& options) {
  const Span span = {.from = summary.from,
                     .until = summary.until,
                     .simulated = summary.simulated,
                     .zone = options.zone};
  return absl::StrCat(
      "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n<meta "
      "charset=\"utf-8\"/>\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
      "'none'; style-src 'unsafe-inline'\"/>\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\"/>\n<title>Corral: ",
      pictures::Escape(options.subject), "</title>\n<style>", kStyle,
      "</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the figures</a>\n",
      Header(summary, options, span), "<main id=\"main\">\n", IncidentsSection(summary, span),
      UseSection(summary, span), PriceSection(summary, span), DomainsSection(summary),
      LocalitySection(summary), ExposureSection(summary), DetailsSection(summary, span), kWords,
      "</main>\n<footer>Made by corralctl report. Nothing in this page is loaded from "
      "elsewhere.</footer>\n</body>\n</html>\n");
}

}  // namespace corral::report
