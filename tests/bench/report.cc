// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/report.h"

#include <sys/utsname.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/bench/overheads.h"

namespace corral::bench {
namespace {

using nlohmann::ordered_json;

constexpr const char* kDecisions[] = {"decision", "decision.committed_2", "decision.committed_100",
                                      "decision.central", "decision.central_agent"};
constexpr char kExcludes[] =
    "kicks (IPIs), wake-ups, context switches, fetching cache lines that other CPUs wrote: one CPU "
    "does everything, again and again";
constexpr char kPaper[] = "ghOSt, SOSP'21, Table 3, on its authors' machine";

std::string Kernel() {
  utsname name;
  return uname(&name) == 0 ? name.release : "unknown";
}

std::string FigureText(const Figure& figure, const Result& result) {
  std::string text = absl::StrFormat("%-58s %8.0f ns  +-%2.0f%%\n", figure.name, result.ns,
                                     result.spread / 2 * 100);
  for (const PaperFigure& paper : figure.paper) {
    absl::StrAppendFormat(&text, "    paper: %-47s %8.0f ns  with %s\n", paper.what, paper.ns,
                          paper.includes);
  }
  absl::StrAppend(&text, "    with ", figure.includes, "\n    without ", figure.excludes, "\n");
  return text;
}

const char* Verdict(bool holds) { return holds ? "holds" : "DOES NOT HOLD"; }

ordered_json FigureJson(const Figure& figure, const Result& result) {
  ordered_json paper = ordered_json::array();
  for (const PaperFigure& p : figure.paper)
    paper.push_back({{"what", p.what}, {"ns", p.ns}, {"includes", p.includes}});
  return {{"id", figure.id},
          {"name", figure.name},
          {"ns", result.ns},
          {"spread", result.spread},
          {"paper", paper},
          {"includes", figure.includes},
          {"excludes", figure.excludes}};
}

}  // namespace

double GroupRatio(const Report& report) {
  return report.results.at("commit.group_100").ns /
         (OVERHEADS_CPUS * report.results.at("commit.single").ns);
}

double DecisionsPerSecond(const Report& report, const std::string& id) {
  return 1e9 / report.results.at(id).ns;
}

double CentralRatio(const Report& report) {
  return report.results.at("decision.central").ns / report.results.at("decision.committed_100").ns;
}

double CentralAgentRatio(const Report& report) {
  return report.results.at("decision.central_agent").ns / report.results.at("decision").ns;
}

std::string Text(const Report& report) {
  std::string text = absl::StrFormat(
      "What the class and an agent cost on this machine (kernel %s, its own BPF, no sched_ext).\n"
      "CPU time, median of %d repetitions, +- half of what their middle half spans.\n"
      "Paper: %s.\nIn no figure of ours: %s.\n\n",
      Kernel(), report.repetitions, kPaper, kExcludes);
  for (const Figure& figure : report.figures)
    absl::StrAppend(&text, FigureText(figure, report.results.at(figure.id)));
  absl::StrAppend(&text, "\n");
  for (const char* id : kDecisions) {
    absl::StrAppendFormat(&text, "%-24s %5.2f million a second on one core\n", id,
                          DecisionsPerSecond(report, id) / 1e6);
  }
  absl::StrAppendFormat(
      &text,
      "a decision of fifo_centralized costs %.2f times one of the trivial FIFO, the agent's own "
      "part %.1f times\n",
      CentralRatio(report), CentralAgentRatio(report));
  absl::StrAppendFormat(&text, "target: a trivial FIFO decides %.0f million times a second: %s\n",
                        kDecisionsTarget / 1e6,
                        Verdict(DecisionsPerSecond(report, "decision") >= kDecisionsTarget));
  absl::StrAppendFormat(
      &text,
      "target: 100 CPUs in one commit cost at most %.2f of 100 commits of one CPU: %.3f, %s\n",
      kGroupTarget, GroupRatio(report), Verdict(GroupRatio(report) <= kGroupTarget));
  return text;
}

ordered_json Json(const Report& report) {
  ordered_json figures = ordered_json::array();
  for (const Figure& figure : report.figures)
    figures.push_back(FigureJson(figure, report.results.at(figure.id)));
  ordered_json decisions;
  for (const char* id : kDecisions) decisions[id] = DecisionsPerSecond(report, id);
  return {{"kernel", Kernel()},
          {"repetitions", report.repetitions},
          {"paper", kPaper},
          {"excludes", kExcludes},
          {"figures", figures},
          {"decisions_per_second", decisions},
          {"decisions_per_second_target", kDecisionsTarget},
          {"central_to_trivial", CentralRatio(report)},
          {"central_to_trivial_agent", CentralAgentRatio(report)},
          {"group_of_100_to_100_singles", GroupRatio(report)},
          {"group_of_100_to_100_singles_target", kGroupTarget}};
}

}  // namespace corral::bench
