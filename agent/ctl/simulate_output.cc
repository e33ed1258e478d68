// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/simulate_output.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "agent/ctl/figures.h"

namespace corral::ctl {
namespace {

nlohmann::json Json(const Percentiles& p) {
  return {{"count", p.count},
          {"p50_ns", p.p50.count()},
          {"p99_ns", p.p99.count()},
          {"p999_ns", p.p999.count()},
          {"max_ns", p.max.count()}};
}

// What was asked for, and what of it is promised; nothing if nobody asked.
std::string PromisesText(const SimulationResult& r) {
  std::string text;
  for (const SimulatedDomain& d : r.domains) {
    if (d.verdicts.empty()) continue;
    int promised = 0;
    for (const SimulatedVerdict& v : d.verdicts) promised += v.granted > Duration(0);
    absl::StrAppend(&text,
                    absl::StrFormat("%-16.16s %s of each %s: promised to %d of %d vCPUs\n", d.name,
                                    Human(d.budget), Human(d.period), promised, d.vcpus));
    for (const SimulatedVerdict& v : d.verdicts) {
      if (v.granted > Duration(0)) continue;
      absl::StrAppend(&text, "  vCPU ", v.vcpu, ": ",
                      v.core < 0 ? "the policy makes no promises"
                                 : absl::StrCat("refused; at most ", Human(v.free),
                                                " are free, on core ", v.core),
                      "\n");
    }
  }
  return text.empty() ? text : absl::StrCat("\n", text);
}

nlohmann::json VerdictsJson(const SimulatedDomain& d) {
  nlohmann::json verdicts = nlohmann::json::array();
  for (const SimulatedVerdict& v : d.verdicts) {
    verdicts.push_back({{"vcpu", v.vcpu},
                        {"granted_ns", v.granted.count()},
                        {"free_ns", v.free.count()},
                        {"core", v.core}});
  }
  return verdicts;
}

}  // namespace

std::string SimulationText(const SimulationResult& r) {
  const Duration supply = r.time * r.nr_cpus;
  std::string text = absl::StrFormat("%-16s %5s %9s %9s %9s %9s %9s %9s\n", "DOMAIN", "VCPUS",
                                     "CPU", "WAIT P50", "P99", "MAX", "REQ P50", "P99");
  for (const SimulatedDomain& d : r.domains) {
    const bool serves = d.requests.count > 0;
    absl::StrAppend(
        &text, absl::StrFormat("%-16.16s %5d %9s %9s %9s %9s %9s %9s\n", d.name, d.vcpus,
                               Percent(d.cpu_time, supply), Human(d.waits.p50), Human(d.waits.p99),
                               Human(d.waits.max), serves ? Human(d.requests.p50) : "-",
                               serves ? Human(d.requests.p99) : "-"));
  }
  absl::StrAppend(&text, PromisesText(r));
  absl::StrAppend(
      &text, "\n", Human(r.time), " on ", r.nr_cpus, " CPUs of ", r.nr_cores, " cores\n",
      "time that siblings spent in two VMs   ", r.shared.count(), " ns\n",
      "forced idle, of the VMs' core time    ", Percent(r.forced_idle, r.core_time), "\n",
      "agents, of the CPUs' time             ", Percent(r.agent_time, supply), "\n",
      "core switches                         ", r.core_switches, "\n",
      "commits                               ", r.commits, "\n",
      "tasks that the class had to rescue    ", r.rescues, "\n",
      "Simulated: costs are assumptions (kernel/sim/costs.h); --sensitivity halves and raises "
      "them.\n");
  return text;
}

std::string SensitivityText(const std::vector<SimulatedCosts>& runs) {
  std::string text = absl::StrFormat("\n%-16s %8s %12s %12s %12s\n", "DOMAIN", "COSTS", "WORK",
                                     "WAIT P99", "REQ P99");
  for (size_t i = 0; i < runs.front().result.domains.size(); ++i) {
    for (const SimulatedCosts& run : runs) {
      const SimulatedDomain& d = run.result.domains[i];
      absl::StrAppend(&text, absl::StrFormat("%-16.16s %6d %% %12s %12s %12s\n", d.name,
                                             run.percent, Human(d.work), Human(d.waits.p99),
                                             d.requests.count > 0 ? Human(d.requests.p99) : "-"));
    }
  }
  return text;
}

nlohmann::json SimulationJson(const SimulationResult& r) {
  nlohmann::json domains = nlohmann::json::array();
  for (const SimulatedDomain& d : r.domains) {
    domains.push_back({{"name", d.name},
                       {"vcpus", d.vcpus},
                       {"cpu_time_ns", d.cpu_time.count()},
                       {"work_ns", d.work.count()},
                       {"wait", Json(d.waits)},
                       {"request", Json(d.requests)},
                       {"budget_ns", d.budget.count()},
                       {"period_ns", d.period.count()},
                       {"promises", VerdictsJson(d)}});
  }
  return {{"simulated", true},
          {"time_ns", r.time.count()},
          {"cpus", r.nr_cpus},
          {"cores", r.nr_cores},
          {"domains", domains},
          {"shared_ns", r.shared.count()},
          {"core_time_ns", r.core_time.count()},
          {"forced_idle_ns", r.forced_idle.count()},
          {"agent_time_ns", r.agent_time.count()},
          {"core_switches", r.core_switches},
          {"commits", r.commits},
          {"rescues", r.rescues}};
}

}  // namespace corral::ctl
