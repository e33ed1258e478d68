// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "agent/report/page_parts.h"

namespace corral::report {
namespace {

constexpr size_t kMostCoresInTable = 10;

// Those that something happened on, most first.
std::vector<const CoreSummary*> Notable(const Summary& summary) {
  std::vector<const CoreSummary*> cores;
  for (const CoreSummary& core : summary.cores) {
    if (core.forced_idle_s > 0 || core.breaches > 0 || core.rescues > 0) cores.push_back(&core);
  }
  std::stable_sort(cores.begin(), cores.end(), [](const CoreSummary* a, const CoreSummary* b) {
    if (a->breaches != b->breaches) return a->breaches > b->breaches;
    return a->forced_idle_s > b->forced_idle_s;
  });
  if (cores.size() > kMostCoresInTable) cores.resize(kMostCoresInTable);
  return cores;
}

std::string CoreRow(const CoreSummary& core, const Summary& summary) {
  const double seconds = std::max(summary.seconds, 1e-9);
  return absl::StrCat("<tr><th scope=\"row\">core ", core.id, "</th><td class=\"n\">", core.node,
                      "</td><td class=\"n\">", Figure(core.forced_idle_s / seconds),
                      "</td><td class=\"n\">", Figure(static_cast<double>(core.switches) / seconds),
                      "</td><td class=\"n\">", core.rescues, "</td><td class=\"n",
                      core.breaches > 0 ? " bad" : "", "\">", core.breaches, "</td></tr>\n");
}

std::string CoresTable(const Summary& summary) {
  const std::vector<const CoreSummary*> cores = Notable(summary);
  if (cores.empty()) return "<p>No core had to leave a sibling idle while a vCPU waited.</p>\n";
  std::string out =
      "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Cores\"><table "
      "class=\"narrow\">\n";
  absl::StrAppend(&out, "<caption>The ", cores.size(), " cores of ", summary.nr_cores,
                  " on which most was waited beside an idle sibling.</caption>\n",
                  "<thead><tr><th scope=\"col\">Core</th><th scope=\"col\" class=\"n\">Node</th>"
                  "<th scope=\"col\" class=\"n\">vCPUs waiting beside<br/>an idle sibling</th>"
                  "<th scope=\"col\" class=\"n\">Changes of<br/>owner a second</th><th "
                  "scope=\"col\" class=\"n\">Rescues</th><th scope=\"col\" "
                  "class=\"n\">Breaches</th></tr></thead>\n<tbody>\n");
  for (const CoreSummary* core : cores) out += CoreRow(*core, summary);
  return out + "</tbody></table></div>\n";
}

}  // namespace

std::string UseSection(const Summary& summary, const Span& span) {
  const double seconds = std::max(summary.seconds, 1e-9);
  const std::string words = absl::StrCat(
      "All trust domains together used ", Figure(summary.used_s / seconds), " CPUs of ",
      summary.nr_cpus, " in the mean, were guaranteed ", Figure(summary.guaranteed_s / seconds),
      ", and ", Figure(summary.waited_s / seconds), " more wanted one.");
  const Chart chart = {
      .id = "use-chart",
      .title = "Use and guarantee over time, in CPUs",
      .description = words,
      .lines = {{&summary.used_over_time, "used", "used", true},
                {&summary.waited_over_time, "waited", "waiting for one", false},
                {&summary.guaranteed_over_time, "guaranteed", "guaranteed", false}},
      .top = 0,
      .height = 220};
  return absl::StrCat(
      "<section aria-labelledby=\"use\"><h2 id=\"use\">Use against "
      "guarantee</h2>\n<p>",
      words, "</p>\n", Draw(chart, span), "</section>\n");
}

std::string PriceSection(const Summary& summary, const Span& span) {
  const double seconds = std::max(summary.seconds, 1e-9);
  const double price = summary.forced_idle_s + summary.hand_over_s;
  const std::string words = absl::StrCat(
      "vCPUs waited ", SecondsText(summary.forced_idle_s),
      " beside siblings that had to idle, and ", SecondsText(summary.hand_over_s),
      " while cores changed hands. That is ", PercentText(price, summary.used_s + summary.waited_s),
      " of the time in which they wanted a CPU. Cores changed their owner ",
      Figure(static_cast<double>(summary.switches) / seconds), " times a second.");
  const Chart chart = {
      .id = "price-chart",
      .title = "The price of isolation over time, in CPUs",
      .description = words,
      .lines = {{&summary.forced_idle_over_time, "idle", "waiting beside an idle sibling", true},
                {&summary.hand_over_over_time, "hands", "waiting for a core to change hands",
                 false}},
      .top = 0.01,
      .height = 160};
  const std::string cores = absl::StrCat(
      "A row for each of the ", summary.nr_cores, " cores on ", summary.nr_nodes,
      summary.nr_nodes == 1 ? " NUMA node" : " NUMA nodes",
      "; darker where more vCPUs waited beside an idle sibling. The table below has the "
      "cores with most.");
  return absl::StrCat(
      "<section aria-labelledby=\"price\"><h2 id=\"price\">The price of "
      "isolation</h2>\n<p>",
      words, "</p>\n", Draw(chart, span), "<h3>Core by core</h3>\n<p>", cores, "</p>\n",
      DrawCores(summary.cores, cores, span), CoresTable(summary), "</section>\n");
}

}  // namespace corral::report
