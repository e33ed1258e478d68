// SPDX-License-Identifier: Apache-2.0
#include "agent/views/class_view.h"

#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "agent/runtime/status_word.h"
#include "agent/views/running_agent.h"
#include "kernel/abi/core_word.h"
#include "kernel/text_field.h"

namespace corral {
namespace {

// As libvirt writes UUIDs.
std::string Uuid(const __u8 (&key)[GHOST_DOMAIN_KEY_LEN]) {
  const std::string hex =
      absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(key), sizeof(key)));
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-",
                      hex.substr(16, 4), "-", hex.substr(20));
}

CoreView ViewCore(const ControlKernel& kernel, uint32_t id) {
  CoreView view;
  view.id = id;
  view.counters = kernel.cores()[id];
  const core_word_t word = view.counters.word;
  view.enclave = view.counters.enclave;
  view.owner = core_word_busy(word) != 0 ? core_word_owner(word) : 0;
  if (view.owner == GHOST_DOMAIN_WHOLE_HOST) view.owner = GHOST_DOMAIN_HOST;
  view.agent_tid = view.counters.agent_tid;
  view.agent_stalled = view.counters.agent_stalled != 0;
  for (uint32_t i = 0; i < view.counters.nr_cpus && i < GHOST_MAX_SIBLINGS; ++i) {
    const int cpu = view.counters.cpus[i];
    view.node = kernel.cpus()[cpu].node;
    view.siblings.push_back({.cpu = cpu,
                             .domain = kernel.cpu_states()[cpu].running_domain,
                             .claimed = (core_word_claims(word) & (1u << i)) != 0,
                             .waits = (core_word_waiters(word) & (1u << i)) != 0,
                             .taken = kernel.cpu_states()[cpu].taken != GHOST_CPU_NOT_TAKEN,
                             .ticks = kernel.cpu_states()[cpu].ticks});
  }
  return view;
}

void AddTasks(const ControlKernel& kernel, std::vector<DomainView>& domains,
              const std::vector<int>& position) {
  const Time now = kernel.Now();
  for (const ghost_status_word& sw : kernel.status_words()) {
    if (sw.gtid == 0 || sw.domain >= position.size() || position[sw.domain] < 0) continue;
    DomainView& domain = domains[position[sw.domain]];
    ++domain.vcpus;
    domain.runtime += ReadRuntime(sw, now);
    if (sw.flags & GHOST_SW_ONCPU) {
      ++domain.running;
    } else if (sw.flags & GHOST_SW_RUNNABLE) {
      ++domain.waiting;
    }
  }
}

}  // namespace

ClassView ViewClass(const ControlKernel& kernel) {
  ClassView view{.whole_host = kernel.info().whole_host != 0};
  std::vector<int> enclave_position(kernel.enclaves().size(), -1);
  for (uint32_t id = 1; id < kernel.enclaves().size(); ++id) {
    const ghost_enclave& e = kernel.enclaves()[id];
    if (!e.in_use) continue;
    enclave_position[id] = static_cast<int>(view.enclaves.size());
    view.enclaves.push_back(
        {.id = id, .name = std::string(TextOf(e.name)), .tenure = Duration(e.tenure_ns)});
  }
  for (uint32_t id = 0; id < kernel.info().nr_cores; ++id) {
    view.cores.push_back(ViewCore(kernel, id));
    const CoreView& core = view.cores.back();
    if (core.enclave >= enclave_position.size() || enclave_position[core.enclave] < 0) continue;
    EnclaveView& enclave = view.enclaves[enclave_position[core.enclave]];
    ++enclave.cores;
    enclave.agents += core.agent_tid != 0;
    if (core.agent_tid != 0 && enclave.policy.empty()) {
      const absl::StatusOr<RunningAgent> agent = IdentifyAgent(static_cast<pid_t>(core.agent_tid));
      if (agent.ok()) enclave.policy = agent->policy;
    }
    enclave.stalled += core.agent_stalled;
    for (const SiblingView& sibling : core.siblings) enclave.cpus.Insert(CpuId(sibling.cpu));
  }
  std::vector<int> domain_position(kernel.domains().size(), -1);
  for (uint32_t id = GHOST_DOMAIN_FIRST; id < kernel.domains().size(); ++id) {
    const ghost_domain& d = kernel.domains()[id];
    if (!d.in_use) continue;
    domain_position[id] = static_cast<int>(view.domains.size());
    view.domains.push_back(
        {.id = id, .enclave = d.enclave, .name = std::string(TextOf(d.name)), .uuid = Uuid(d.key)});
  }
  AddTasks(kernel, view.domains, domain_position);
  return view;
}

std::string NameOfEnclave(const ClassView& view, uint32_t id) {
  for (const EnclaveView& enclave : view.enclaves) {
    if (enclave.id == id) return enclave.name;
  }
  return "-";
}

uint64_t BreachesOf(const ClassView& view) {
  uint64_t breaches = 0;
  for (const CoreView& core : view.cores) breaches += core.counters.breaches;
  return breaches;
}

nlohmann::json ToJson(const ClassView& view) {
  nlohmann::json json = {{"scope", view.whole_host ? "host" : "vms"},
                         {"enclaves", nlohmann::json::array()},
                         {"domains", nlohmann::json::array()},
                         {"cores", nlohmann::json::array()}};
  for (const EnclaveView& e : view.enclaves) {
    json["enclaves"].push_back({{"id", e.id},
                                {"name", e.name},
                                {"cpus", e.cpus.Format()},
                                {"cores", e.cores},
                                {"agents", e.agents},
                                {"stalled", e.stalled},
                                {"policy", e.policy},
                                {"tenure_ns", e.tenure.count()}});
  }
  for (const DomainView& d : view.domains) {
    json["domains"].push_back({{"id", d.id},
                               {"enclave", d.enclave},
                               {"name", d.name},
                               {"uuid", d.uuid},
                               {"vcpus", d.vcpus},
                               {"running", d.running},
                               {"waiting", d.waiting},
                               {"runtime_ns", d.runtime.count()}});
  }
  for (const CoreView& c : view.cores) {
    nlohmann::json siblings = nlohmann::json::array();
    for (const SiblingView& s : c.siblings) {
      siblings.push_back({{"cpu", s.cpu},
                          {"domain", s.domain},
                          {"claimed", s.claimed},
                          {"waits", s.waits},
                          {"ticks", s.ticks}});
    }
    json["cores"].push_back({{"id", c.id},
                             {"enclave", c.enclave},
                             {"node", c.node},
                             {"owner", c.owner},
                             {"agent_tid", c.agent_tid},
                             {"agent_stalled", c.agent_stalled},
                             {"switches_agent", c.counters.switches_agent},
                             {"switches_class", c.counters.switches_class},
                             {"switches_offered", c.counters.switches_offered},
                             {"taken", c.counters.taken},
                             {"commits", c.counters.commits},
                             {"denied", c.counters.denied},
                             {"latch_failures", c.counters.latch_failures},
                             {"adoptions", c.counters.adoptions},
                             {"evictions", c.counters.evictions},
                             {"breaches", c.counters.breaches},
                             {"rescues", c.counters.rescues},
                             {"siblings", siblings}});
  }
  return json;
}

}  // namespace corral
