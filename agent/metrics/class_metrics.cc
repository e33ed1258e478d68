// SPDX-License-Identifier: Apache-2.0
#include "agent/metrics/class_metrics.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
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
  AddVms(ViewVms(*kernel, rules), families);
  return families;
}

}  // namespace corral::metrics
