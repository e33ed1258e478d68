// SPDX-License-Identifier: Apache-2.0
#include "agent/selftest/verdict.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace corral {
namespace {

constexpr double kAgentShare = 0.95;
// Fewer say nothing about who decides.
constexpr uint64_t kSwitches = 100;

double Share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::string Percent(Duration part, Duration whole) {
  if (whole <= Duration(0)) return "-";
  return absl::StrFormat("%.2f %%", 100 * Share(part.count(), whole.count()));
}

std::string Seconds(Duration time) {
  return absl::StrFormat("%.1f s", std::chrono::duration<double>(time).count());
}

std::string Ns(Duration time) { return absl::StrCat(time.count(), " ns"); }

// Of the vCPU that had least, for each second that a CPU could give.
std::string LeastProgress(const SelftestPart& part, size_t cpus) {
  const Duration supply = part.observed * static_cast<int64_t>(cpus);
  if (part.ran.empty() || supply <= Duration(0)) return "-";
  const Duration least = *std::min_element(part.ran.begin(), part.ran.end());
  return absl::StrFormat("%.1f ms", 1000 * Share(least.count(), supply.count()));
}

std::vector<std::string> Gaps(const SelftestFigures& f) {
  std::vector<std::string> gaps;
  if (!f.before.complete) gaps.emplace_back("under the default scheduler");
  if (!f.corral.complete) gaps.emplace_back("under Corral");
  return gaps;
}

std::string Row(const std::string& name, const std::string& before, const std::string& corral) {
  return absl::StrFormat("%-40s %18s %18s\n", name, before, corral);
}

std::string Table(const SelftestFigures& f) {
  const SelftestPart& b = f.before;
  const SelftestPart& c = f.corral;
  return absl::StrCat(
      Row("scheduler", "default", "Corral"),
      Row("observed", Seconds(b.observed), Seconds(c.observed)),
      Row("core time (a VM is on the core)", Seconds(b.core_time), Seconds(c.core_time)),
      Row("core switches, as the auditor counts", absl::StrCat(b.core_switches),
          absl::StrCat(c.core_switches)),
      Row("  by an agent's commit", "-", absl::StrCat(f.by_agent)),
      Row("  by the class alone, in spite of an agent", "-", absl::StrCat(f.by_class)),
      Row("cross-VM time (vCPU beside vCPU)", Ns(b.cross_vm), Ns(c.cross_vm)),
      Row("  of core time", Percent(b.cross_vm, b.core_time), Percent(c.cross_vm, c.core_time)),
      Row("forced idle, of core time", Percent(b.forced_idle, b.core_time),
          Percent(c.forced_idle, c.core_time)),
      Row("least vCPU progress per CPU second", LeastProgress(b, f.cpus.size()),
          LeastProgress(c, f.cpus.size())),
      Row("agents killed", "-", f.own_enclave ? "1" : "0"),
      Row("tasks that the class had to rescue", "-", absl::StrCat(f.rescues)));
}

nlohmann::ordered_json PartJson(const SelftestPart& part) {
  nlohmann::ordered_json json = {{"observed_ns", part.observed.count()},
                                 {"core_time_ns", part.core_time.count()},
                                 {"cross_vm_ns", part.cross_vm.count()},
                                 {"forced_idle_ns", part.forced_idle.count()},
                                 {"core_switches", part.core_switches},
                                 {"complete", part.complete},
                                 {"vcpus_ran_ns", nlohmann::ordered_json::array()}};
  for (const Duration ran : part.ran) json["vcpus_ran_ns"].push_back(ran.count());
  return json;
}

}  // namespace

std::vector<SelftestCondition> Judge(const SelftestFigures& f) {
  const uint64_t switches = f.by_agent + f.by_class;
  const auto silent = std::count(f.corral.ran.begin(), f.corral.ran.end(), Duration(0));
  const std::vector<std::string> gaps = Gaps(f);
  const std::string where = std::accumulate(
      gaps.begin(), gaps.end(), std::string(),
      [](const std::string& text, const std::string& gap) { return text + "; not " + gap; });
  return {
      {f.before.cross_vm > Duration(0),
       "the default scheduler does let VMs share cores, so the measurement can see it"},
      {f.corral.cross_vm == Duration(0),
       absl::StrCat("cross-VM time under Corral is 0 ns (it is ", f.corral.cross_vm.count(), ")")},
      {f.corral.outside == Duration(0), absl::StrCat("no vCPU ran outside the class (they did for ",
                                                     f.corral.outside.count(), " ns)")},
      {switches >= kSwitches,
       absl::StrCat("at least ", kSwitches, " core switches (there were ", switches, ")")},
      {Share(f.by_agent, switches) >= kAgentShare,
       absl::StrFormat(
           "%.0f %% of the core switches came from agent commits while there was an agent (it was "
           "%.1f %%)",
           100 * kAgentShare, 100 * Share(f.by_agent, switches))},
      {!f.corral.ran.empty() && silent == 0,
       absl::StrCat("each of the ", f.corral.ran.size(), " vCPUs ran (", silent, " did not)")},
      {f.breaches == 0, absl::StrCat("the class itself saw no switch-in that isolation forbids (it "
                                     "saw ",
                                     f.breaches, ")")},
      {gaps.empty(), absl::StrCat("the auditor missed nothing", where)},
      {f.in_charge, "the class stayed in charge"},
      {f.left_behind.empty(), absl::StrCat("everything was given back at the end",
                                           f.left_behind.empty() ? "" : ": ", f.left_behind)},
  };
}

std::string SelftestText(const SelftestFigures& f) {
  std::string text =
      absl::StrCat("Linux ", f.kernel, ", CPUs ", f.cpus.Format(), "\n\n", Table(f), "\n");
  for (const SelftestCondition& condition : Judge(f))
    absl::StrAppend(&text, condition.holds ? "  ok      " : "  FAILED  ", condition.text, "\n");
  return text;
}

nlohmann::ordered_json SelftestJson(const SelftestFigures& f) {
  nlohmann::ordered_json json = {{"kernel", f.kernel},
                                 {"cpus", f.cpus.Format()},
                                 {"own_enclave", f.own_enclave},
                                 {"default", PartJson(f.before)},
                                 {"corral", PartJson(f.corral)}};
  nlohmann::ordered_json& corral = json["corral"];
  corral["outside_class_ns"] = f.corral.outside.count();
  corral["agent_switches"] = f.by_agent;
  corral["class_switches"] = f.by_class;
  corral["breaches"] = f.breaches;
  corral["rescues"] = f.rescues;
  corral["agent_kills"] = f.own_enclave ? 1 : 0;
  json["conditions"] = nlohmann::ordered_json::array();
  for (const SelftestCondition& condition : Judge(f))
    json["conditions"].push_back({{"holds", condition.holds}, {"text", condition.text}});
  return json;
}

}  // namespace corral
