// SPDX-License-Identifier: Apache-2.0
#include "agent/class/class_state.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "kernel/text_field.h"

namespace corral {
namespace {

using nlohmann::json;

// A number of a struct, and its name in the text.
template <typename Struct>
struct Field {
  const char* name;
  __u64 Struct::*value;
};

constexpr Field<ghost_core_state> kCoreFields[] = {
    {"commits", &ghost_core_state::commits},
    {"switches_agent", &ghost_core_state::switches_agent},
    {"switches_class", &ghost_core_state::switches_class},
    {"switches_offered", &ghost_core_state::switches_offered},
    {"denied", &ghost_core_state::denied},
    {"latch_failures", &ghost_core_state::latch_failures},
    {"evictions", &ghost_core_state::evictions},
    {"adoptions", &ghost_core_state::adoptions},
    {"breaches", &ghost_core_state::breaches},
    {"rescues", &ghost_core_state::rescues},
    {"taken", &ghost_core_state::taken}};
constexpr Field<ghost_cpu_state> kCpuFields[] = {{"host_ns", &ghost_cpu_state::host_ns},
                                                 {"agent_ns", &ghost_cpu_state::agent_ns},
                                                 {"ticks", &ghost_cpu_state::ticks}};
constexpr Field<ghost_queue_state> kQueueFields[] = {{"messages", &ghost_queue_state::messages},
                                                     {"overflows", &ghost_queue_state::overflows}};
constexpr Field<ghost_status_word> kTaskFields[] = {
    {"runtime_ns", &ghost_status_word::runtime_ns},
    {"budget_ns", &ghost_status_word::budget_ns},
    {"period_ns", &ghost_status_word::period_ns},
    {"cap_ns", &ghost_status_word::cap_ns},
    {"cap_period_ns", &ghost_status_word::cap_period_ns}};
constexpr Field<ghost_waits> kWaitFields[] = {{"missed_ns", &ghost_waits::missed_ns},
                                              {"missed", &ghost_waits::missed}};
constexpr Field<ghost_tally> kTallyFields[] = {{"waited_ns", &ghost_tally::waited_ns},
                                               {"core_moves", &ghost_tally::core_moves},
                                               {"node_moves", &ghost_tally::node_moves}};

template <typename Struct, size_t N>
void Write(const Field<Struct> (&fields)[N], const Struct& from, json& to) {
  for (const Field<Struct>& field : fields) to[field.name] = from.*field.value;
}

uint64_t Number(const json& from, const char* name) {
  const auto it = from.find(name);
  return it != from.end() && it->is_number_unsigned() ? it->get<uint64_t>() : 0;
}

std::string Text(const json& from, const char* name) {
  const auto it = from.find(name);
  return it != from.end() && it->is_string() ? it->get<std::string>() : "";
}

// An empty list if there is none.
const json& List(const json& from, const char* name) {
  static const json kNone = json::array();
  const auto it = from.find(name);
  return it != from.end() && it->is_array() ? *it : kNone;
}

template <typename Struct, size_t N>
void Read(const Field<Struct> (&fields)[N], const json& from, Struct& to) {
  for (const Field<Struct>& field : fields) to.*field.value = Number(from, field.name);
}

template <size_t N>
void ReadList(const json& from, const char* name, __u64 (&to)[N]) {
  const json& list = List(from, name);
  for (size_t i = 0; i < std::min(N, list.size()); ++i) {
    if (list[i].is_number_unsigned()) to[i] = list[i].get<uint64_t>();
  }
}

CpuSet CpusOf(const ghost_core_state& core) {
  CpuSet cpus;
  for (uint32_t i = 0; i < core.nr_cpus; ++i) cpus.Insert(CpuId(core.cpus[i]));
  return cpus;
}

json CaptureTask(const ControlKernel& kernel, uint32_t slot) {
  const ghost_status_word& word = kernel.status_words()[slot];
  json task = {{"tid", word.tid},
               {"vcpu", word.vcpu},
               {"weight", word.weight},
               {"node", word.node},
               {"former_policy", word.former_policy},
               {"waits", kernel.waits()[slot].ns},
               {"wait_counts", kernel.tallies()[slot].waits}};
  Write(kTaskFields, word, task);
  Write(kWaitFields, kernel.waits()[slot], task);
  Write(kTallyFields, kernel.tallies()[slot], task);
  return task;
}

// One that is about to change its domain has two slots: what it did stands in the one, where it
// belongs the other one says.
std::map<uint32_t, json> CaptureTasks(const ControlKernel& kernel) {
  std::map<uint32_t, json> by_tid;
  for (uint32_t slot = 0; slot < kernel.status_words().size(); ++slot) {
    const ghost_status_word& word = kernel.status_words()[slot];
    if ((word.flags & GHOST_SW_INUSE) == 0 || word.tid == 0) continue;
    json task = CaptureTask(kernel, slot);
    task["domain"] = word.domain;
    const auto [it, first] = by_tid.try_emplace(word.tid, task);
    if (first) continue;
    if ((word.flags & GHOST_SW_ANNOUNCED) != 0) {
      task["domain"] = it->second["domain"];
      it->second = std::move(task);
    } else {
      it->second["domain"] = word.domain;
    }
  }
  return by_tid;
}

json CaptureEnclave(const ControlKernel& kernel, uint32_t id) {
  const ghost_enclave& enclave = kernel.enclaves()[id];
  CpuSet cpus;
  for (const ghost_core_state& core : kernel.cores()) {
    if (core.enclave == id) cpus = cpus | CpusOf(core);
  }
  return {{"name", TextOf(enclave.name)},
          {"cpus", cpus.Format()},
          {"ticks", (enclave.flags & GHOST_ENCLAVE_DELIVER_TICKS) != 0},
          {"availability", (enclave.flags & GHOST_ENCLAVE_DELIVER_AVAILABILITY) != 0},
          {"stop_on_loss", (enclave.flags & GHOST_ENCLAVE_STOP_ON_LOSS) != 0},
          {"strict", (enclave.flags & GHOST_ENCLAVE_STRICT) != 0},
          {"tenure_ns", enclave.tenure_ns},
          {"runnable_timeout_ns", enclave.runnable_timeout_ns},
          {"domains", json::array()}};
}

json CaptureCores(const ControlKernel& kernel) {
  json cores = json::array();
  for (uint32_t id = 0; id < kernel.info().nr_cores; ++id) {
    const ghost_core_state& core = kernel.cores()[id];
    json entry = {{"cpus", CpusOf(core).Format()},
                  {"txns", kernel.queue_states()[id].txns},
                  {"siblings", json::array()}};
    Write(kCoreFields, core, entry);
    Write(kQueueFields, kernel.queue_states()[id], entry);
    for (uint32_t i = 0; i < core.nr_cpus; ++i) {
      Write(kCpuFields, kernel.cpu_states()[static_cast<uint32_t>(core.cpus[i])],
            entry["siblings"].emplace_back());
    }
    cores.push_back(std::move(entry));
  }
  return cores;
}

class Restoration {
 public:
  Restoration(ControlKernel& kernel, const json& state) : kernel_(kernel), state_(state) {}

  std::vector<std::string> Run() {
    for (const json& enclave : List(state_, "enclaves")) RestoreEnclave(enclave);
    for (const json& core : List(state_, "cores")) RestoreCore(core);
    return std::move(problems_);
  }

 private:
  // Whether it went well; one that is gone is no problem.
  bool Went(const absl::Status& status) {
    if (!status.ok() && !absl::IsNotFound(status))
      problems_.push_back(std::string(status.message()));
    return status.ok();
  }

  static bool Flag(const json& from, const char* name) {
    const auto it = from.find(name);
    return it != from.end() && it->is_boolean() && it->get<bool>();
  }

  std::optional<EnclaveId> MakeEnclave(const json& from) {
    const std::string name = Text(from, "name");
    for (uint32_t id = 1; id < kernel_.enclaves().size(); ++id) {
      if (kernel_.enclaves()[id].in_use && TextOf(kernel_.enclaves()[id].name) == name)
        return EnclaveId(id);
    }
    const absl::StatusOr<CpuSet> cpus = CpuSet::Parse(Text(from, "cpus"));
    if (!Went(cpus.status())) return std::nullopt;
    const absl::StatusOr<EnclaveId> made =
        kernel_.CreateEnclave({.name = name,
                               .cpus = *cpus,
                               .deliver_ticks = Flag(from, "ticks"),
                               .deliver_availability = Flag(from, "availability"),
                               .tenure = Duration(Number(from, "tenure_ns")),
                               .runnable_timeout = Duration(Number(from, "runnable_timeout_ns"))});
    if (!Went(made.status())) return std::nullopt;
    return *made;
  }

  void RestoreEnclave(const json& from) {
    const std::optional<EnclaveId> enclave = MakeEnclave(from);
    if (!enclave) return;
    Went(kernel_.Protect(
        *enclave, {.stop_on_loss = Flag(from, "stop_on_loss"), .strict = Flag(from, "strict")}));
    for (const json& domain : List(from, "domains")) {
      DomainKey key = {};
      const std::string bytes = absl::HexStringToBytes(Text(domain, "key"));
      memcpy(key.data(), bytes.data(), std::min(bytes.size(), key.size()));
      const absl::StatusOr<DomainId> id = kernel_.CreateDomain(*enclave, key, Text(domain, "name"));
      if (!Went(id.status())) continue;
      for (const json& task : List(domain, "tasks")) RestoreTask(*id, task);
    }
  }

  void RestoreTask(DomainId domain, const json& from) {
    ghost_status_word word = {};
    Read(kTaskFields, from, word);
    const auto weight = static_cast<uint32_t>(Number(from, "weight"));
    const absl::StatusOr<Gtid> task = kernel_.AttachTask(
        static_cast<pid_t>(Number(from, "tid")), domain,
        static_cast<int>(static_cast<uint32_t>(Number(from, "vcpu"))), static_cast<int>(weight));
    if (!Went(task.status())) return;
    Went(kernel_.UpdateTask(*task, {.weight = weight,
                                    .budget = Duration(word.budget_ns),
                                    .period = Duration(word.period_ns),
                                    .cap = Duration(word.cap_ns),
                                    .cap_period = Duration(word.cap_period_ns),
                                    .node = static_cast<uint32_t>(Number(from, "node"))}));
    ghost_task_restore past = {
        .gtid = task->value(),
        .runtime_ns = word.runtime_ns,
        .former_policy = static_cast<uint32_t>(Number(from, "former_policy"))};
    ReadList(from, "waits", past.waits.ns);
    ReadList(from, "wait_counts", past.tally.waits);
    Read(kWaitFields, from, past.waits);
    Read(kTallyFields, from, past.tally);
    Went(kernel_.RestoreTask(past));
  }

  // One whose siblings are others by now has no past.
  void RestoreCore(const json& from) {
    ghost_core_restore past = {};
    const std::string cpus = Text(from, "cpus");
    while (past.core < kernel_.info().nr_cores &&
           CpusOf(kernel_.cores()[past.core]).Format() != cpus)
      ++past.core;
    if (past.core == kernel_.info().nr_cores) return;
    Read(kCoreFields, from, past.counted);
    Read(kQueueFields, from, past.queue);
    ReadList(from, "txns", past.queue.txns);
    const json& siblings = List(from, "siblings");
    for (size_t i = 0; i < std::min(siblings.size(), std::size(past.cpus)); ++i)
      Read(kCpuFields, siblings[i], past.cpus[i]);
    Went(kernel_.RestoreCore(past));
  }

  ControlKernel& kernel_;
  const json& state_;
  std::vector<std::string> problems_;
};

}  // namespace

json CaptureClass(const ControlKernel& kernel) {
  std::map<uint32_t, json> tasks = CaptureTasks(kernel);
  json enclaves = json::array();
  for (uint32_t id = 1; id < kernel.enclaves().size(); ++id) {
    if (!kernel.enclaves()[id].in_use) continue;
    json enclave = CaptureEnclave(kernel, id);
    for (uint32_t number = GHOST_DOMAIN_FIRST; number < kernel.info().nr_domains; ++number) {
      const ghost_domain& domain = kernel.domains()[number];
      if (!domain.in_use || domain.enclave != id) continue;
      const absl::string_view key(reinterpret_cast<const char*>(domain.key), sizeof(domain.key));
      json& entry = enclave["domains"].emplace_back(json{{"key", absl::BytesToHexString(key)},
                                                         {"name", TextOf(domain.name)},
                                                         {"tasks", json::array()}});
      for (auto& [tid, task] : tasks) {
        if (Number(task, "domain") != number) continue;
        task.erase("domain");
        entry["tasks"].push_back(std::move(task));
        task = json::object();
      }
    }
    enclaves.push_back(std::move(enclave));
  }
  return {{"enclaves", std::move(enclaves)}, {"cores", CaptureCores(kernel)}};
}

std::vector<std::string> RestoreClass(ControlKernel& kernel, const json& state) {
  return Restoration(kernel, state).Run();
}

}  // namespace corral
