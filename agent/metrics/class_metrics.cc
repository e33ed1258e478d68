// SPDX-License-Identifier: Apache-2.0
#include "agent/metrics/class_metrics.h"

#include <algorithm>
#include <limits>
#include <map>

#include "absl/strings/str_cat.h"
#include "agent/metrics/traffic_metrics.h"
#include "agent/views/wait_view.h"

namespace corral::metrics {
namespace {

Labels LabelsOf(const ClassView& view, const DomainView& domain) {
  // Two domains may have one name.
  return {{"domain", domain.name},
          {"uuid", domain.uuid},
          {"enclave", NameOfEnclave(view, domain.enclave)}};
}

void AddEnclaves(const ClassView& view, Families& families) {
  Family cores = Family::Gauge(families, "corral_enclave_cores", "Physical cores of the enclave.");
  for (const EnclaveView& e : view.enclaves) cores.Add({{"enclave", e.name}}, e.cores);
  Family agents = Family::Gauge(families, "corral_enclave_cores_with_agent",
                                "Cores that an agent decides for; the class serves the others.");
  for (const EnclaveView& e : view.enclaves) agents.Add({{"enclave", e.name}}, e.agents);
  Family stalled = Family::Gauge(families, "corral_enclave_cores_stalled",
                                 "Cores whose agent is there and decides nothing.");
  for (const EnclaveView& e : view.enclaves) stalled.Add({{"enclave", e.name}}, e.stalled);
}

void AddDomains(const ClassView& view, Families& families) {
  Family vcpus = Family::Gauge(families, "corral_domain_vcpus", "vCPUs in the trust domain.");
  for (const DomainView& d : view.domains) vcpus.Add(LabelsOf(view, d), d.vcpus);
  Family running = Family::Gauge(families, "corral_domain_vcpus_running", "Of them, on a CPU now.");
  for (const DomainView& d : view.domains) running.Add(LabelsOf(view, d), d.running);
  Family waiting =
      Family::Gauge(families, "corral_domain_vcpus_waiting", "Of them, runnable without a CPU.");
  for (const DomainView& d : view.domains) waiting.Add(LabelsOf(view, d), d.waiting);
  Family time = Family::Counter(families, "corral_domain_cpu_seconds_total",
                                "CPU time of the vCPUs that the trust domain has now.");
  for (const DomainView& d : view.domains) time.Add(LabelsOf(view, d), Seconds(d.runtime));
}

struct CoreCounter {
  const char* name;
  const char* help;
  uint64_t (*read)(const ghost_core_state&);
};

constexpr CoreCounter kCoreCounters[] = {
    {"corral_core_commits_total", "Decisions of the agent that were carried out.",
     [](const ghost_core_state& c) -> uint64_t { return c.commits; }},
    {"corral_core_denied_total", "Times a task was turned away from another domain's core.",
     [](const ghost_core_state& c) -> uint64_t { return c.denied; }},
    {"corral_core_latch_failures_total", "Decisions that could not be carried out any more.",
     [](const ghost_core_state& c) -> uint64_t { return c.latch_failures; }},
    {"corral_core_rescues_total", "Tasks that the class ran because their agent did not.",
     [](const ghost_core_state& c) -> uint64_t { return c.rescues; }},
    {"corral_core_breaches_total", "Switch-ins that isolation forbids: anything but 0 is a bug.",
     [](const ghost_core_state& c) -> uint64_t { return c.breaches; }},
};

void AddCores(const ClassView& view, Families& families) {
  Family switches = Family::Counter(families, "corral_core_switches_total",
                                    "Switches to a task of the class, by who chose it.");
  for (const CoreView& core : view.cores) {
    const std::string id = absl::StrCat(core.id);
    switches.Add({{"core", id}, {"by", "agent"}}, core.counters.switches_agent);
    switches.Add({{"core", id}, {"by", "class"}}, core.counters.switches_class);
    switches.Add({{"core", id}, {"by", "offer"}}, core.counters.switches_offered);
  }
  for (const CoreCounter& counter : kCoreCounters) {
    Family family = Family::Counter(families, counter.name, counter.help);
    for (const CoreView& core : view.cores)
      family.Add({{"core", absl::StrCat(core.id)}},
                 static_cast<double>(counter.read(core.counters)));
  }
}

}  // namespace

void AddClass(const ClassView& view, Families& families) {
  AddEnclaves(view, families);
  AddDomains(view, families);
  AddCores(view, families);
}

void AddWaits(const ClassView& view, const ControlKernel& kernel, Families& families) {
  std::map<uint32_t, Waits> waited = WaitsByDomain(kernel);
  Family family = Family::Counter(families, "corral_domain_wait_seconds_total",
                                  "What the vCPUs that the trust domain has now waited for; the "
                                  "reasons are those of corralctl explain.");
  for (const DomainView& domain : view.domains) {
    for (int why = 0; why < GHOST_NR_WAITS; ++why) {
      Labels labels = LabelsOf(view, domain);
      labels.push_back({"reason", NameOf(static_cast<ghost_wait>(why))});
      family.Add(std::move(labels), Seconds(waited[domain.id][why]));
    }
  }
}

void AddTallies(const ClassView& view, const ControlKernel& kernel, Families& families) {
  const std::map<uint32_t, ghost_tally> tallies = TalliesByDomain(kernel);
  const auto of = [&](const DomainView& domain) {
    const auto it = tallies.find(domain.id);
    return it == tallies.end() ? ghost_tally{} : it->second;
  };
  std::vector<double> bounds;
  for (unsigned i = 0; i + 1 < GHOST_WAIT_BUCKETS; ++i)
    bounds.push_back(Seconds(FromNs(ghost_wait_bound(i))));
  bounds.push_back(std::numeric_limits<double>::infinity());
  Family waits = Family::Histogram(families, "corral_domain_wait_seconds",
                                   "How long the vCPUs that the trust domain has now waited each "
                                   "time that they wanted a CPU and had none.");
  for (const DomainView& domain : view.domains) {
    const ghost_tally tally = of(domain);
    waits.Add(LabelsOf(view, domain), bounds, {std::begin(tally.waits), std::end(tally.waits)},
              Seconds(FromNs(tally.waited_ns)));
  }
  Family moves = Family::Counter(families, "corral_domain_moves_total",
                                 "How often they came to run on another core than before, and on "
                                 "another NUMA node.");
  for (const DomainView& domain : view.domains) {
    const ghost_tally tally = of(domain);
    for (const auto& [to, count] :
         {std::pair{"core", tally.core_moves}, {"node", tally.node_moves}}) {
      Labels labels = LabelsOf(view, domain);
      labels.push_back({"to_another", to});
      moves.Add(std::move(labels), static_cast<double>(count));
    }
  }
}

void AddPromises(const ClassView& view, const ControlKernel& kernel, Families& families) {
  const std::map<uint32_t, Promises> promises = PromisesByDomain(kernel);
  const auto add = [&](Family family, auto value) {
    for (const DomainView& domain : view.domains) {
      const auto it = promises.find(domain.id);
      family.Add(LabelsOf(view, domain), value(it == promises.end() ? Promises() : it->second));
    }
  };
  add(Family::Gauge(families, "corral_domain_guaranteed_cpus",
                    "What its vCPUs are promised now, in CPUs."),
      [](const Promises& p) { return p.guaranteed; });
  add(Family::Counter(families, "corral_domain_missed_seconds_total",
                      "Promised time that the vCPUs that the trust domain has now did not have, "
                      "though they wanted it throughout the period."),
      [](const Promises& p) { return Seconds(p.missed); });
  add(Family::Counter(families, "corral_domain_missed_periods_total", "In how many periods."),
      [](const Promises& p) { return static_cast<double>(p.missed_periods); });
}

void AddVms(const VmsView& view, Families& families) {
  const auto add = [&](const char* name, const char* help, auto counts) {
    Family family = Family::Gauge(families, name, help);
    for (const VmView& vm : view.vms) {
      family.Add({{"vm", vm.name}, {"pid", absl::StrCat(vm.pid)}},
                 static_cast<double>(std::count_if(vm.vcpus.begin(), vm.vcpus.end(), counts)));
    }
  };
  add("corral_vm_vcpus", "vCPUs of the VM.", [](const VcpuView&) { return true; });
  add("corral_vm_vcpus_unprotected", "Of them, not isolated from other VMs.",
      [](const VcpuView& vcpu) { return !vcpu.unprotected.empty(); });
  add("corral_vm_vcpus_refused", "Of them, those that reserved time and were not promised it.",
      [](const VcpuView& vcpu) { return !vcpu.refused.empty(); });
  Family conflicts =
      Family::Gauge(families, "corral_pin_conflicts", "Pins that make VMs take turns on a core.");
  conflicts.Add({}, static_cast<double>(view.conflicts.size()));
}

Families ClassFamilies(const ControlKernel* kernel, const TrustRules& rules) {
  Families families;
  Family in_charge = Family::Gauge(families, "corral_class_in_charge",
                                   "1 while the class is loaded and schedules, else 0.");
  in_charge.Add({}, kernel == nullptr ? 0 : 1);
  if (kernel == nullptr) return families;
  const ClassView view = ViewClass(*kernel);
  AddClass(view, families);
  AddWaits(view, *kernel, families);
  AddTallies(view, *kernel, families);
  AddPromises(view, *kernel, families);
  AddTraffic(*kernel, families);
  AddTrips(*kernel, families);
  AddVms(ViewVms(*kernel, rules), families);
  return families;
}

}  // namespace corral::metrics
