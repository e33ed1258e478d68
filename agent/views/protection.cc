// SPDX-License-Identifier: Apache-2.0
#include "agent/views/protection.h"

#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "kernel/text_field.h"

namespace corral {
namespace {

CpuSet CpusOfCore(const ghost_core_state& core) {
  CpuSet cpus;
  for (uint32_t i = 0; i < core.nr_cpus && i < GHOST_MAX_SIBLINGS; ++i)
    cpus.Insert(CpuId(core.cpus[i]));
  return cpus;
}

std::string Text(uint64_t ns) {
  return absl::FormatDuration(absl::Nanoseconds(static_cast<int64_t>(ns)));
}

// The one core of its enclave that the task may use; -1 if there are several, or none.
int OnlyCore(const ControlKernel& kernel, uint32_t slot) {
  const ghost_status_word& word = kernel.status_words()[slot];
  const CpuSet may = AffinityOf(kernel, slot);
  int only = -1;
  for (uint32_t id = 0; id < kernel.info().nr_cores; ++id) {
    const ghost_core_state& core = kernel.cores()[id];
    if (core.enclave != word.enclave || !may.Intersects(CpusOfCore(core))) continue;
    if (only >= 0) return -1;
    only = static_cast<int>(id);
  }
  return only;
}

}  // namespace

CpuSet AffinityOf(const ControlKernel& kernel, uint32_t slot) {
  CpuSet cpus;
  if (slot >= kernel.affinities().size()) return cpus;
  const ghost_affinity& affinity = kernel.affinities()[slot];
  for (int cpu = 0; cpu < 64 * GHOST_AFFINITY_WORDS; ++cpu) {
    if ((affinity.cpus[cpu / 64] >> (cpu % 64)) & 1) cpus.Insert(CpuId(cpu));
  }
  return cpus;
}

CpuSet CpusOf(const ControlKernel& kernel, EnclaveId enclave) {
  CpuSet cpus;
  for (uint32_t id = 0; id < kernel.info().nr_cores; ++id) {
    if (kernel.cores()[id].enclave == enclave.value()) cpus = cpus | CpusOfCore(kernel.cores()[id]);
  }
  return cpus;
}

std::string NameOfTask(const ControlKernel& kernel, uint32_t slot) {
  const ghost_status_word& word = kernel.status_words()[slot];
  const absl::string_view domain =
      word.domain < kernel.domains().size() ? TextOf(kernel.domains()[word.domain].name) : "?";
  return word.vcpu == GHOST_NO_VCPU ? absl::StrCat("thread ", word.tid, " of ", domain)
                                    : absl::StrCat("vCPU ", word.vcpu, " of ", domain);
}

std::string WhyUnprotected(const ControlKernel& kernel, uint32_t slot) {
  const ghost_status_word& word = kernel.status_words()[slot];
  const CpuSet enclave = CpusOf(kernel, EnclaveId(word.enclave));
  const CpuSet may = AffinityOf(kernel, slot);
  if (may.Intersects(enclave)) return "";
  return absl::StrCat("it is pinned to CPUs ", may.Format(), ", and its enclave has ",
                      enclave.Format(),
                      "; it gets a few milliseconds now and then: pin it there with virsh vcpupin");
}

std::string WhyNotPromised(const ControlKernel& kernel, uint32_t slot) {
  const ghost_status_word& word = kernel.status_words()[slot];
  if (word.budget_ns == 0 || word.granted_ns != 0 || word.place == GHOST_NO_CORE) return "";
  return absl::StrCat(Text(word.budget_ns), " of ", Text(word.period_ns),
                      " is not promised: at most ", Text(word.free_ns), " is free, on core ",
                      word.place, "; it runs by its weight until there is room");
}

std::vector<PinConflict> FindPinConflicts(const ControlKernel& kernel) {
  std::map<int, PinConflict> by_core;
  std::map<int, std::set<uint32_t>> domains;
  for (uint32_t slot = 0; slot < kernel.status_words().size(); ++slot) {
    const ghost_status_word& word = kernel.status_words()[slot];
    if (word.gtid == 0 || word.vcpu == GHOST_NO_VCPU) continue;
    const int core = OnlyCore(kernel, slot);
    if (core < 0) continue;
    by_core[core].core = CoreId(static_cast<uint32_t>(core));
    by_core[core].slots.push_back(slot);
    domains[core].insert(word.domain);
  }
  std::vector<PinConflict> conflicts;
  for (auto& [core, conflict] : by_core) {
    conflict.domains = static_cast<int>(domains[core].size());
    // An enclave of one core leaves no choice to anybody.
    const ghost_enclave& enclave = kernel.enclaves()[kernel.cores()[core].enclave];
    if (conflict.domains > 1 && enclave.nr_cores > 1) conflicts.push_back(std::move(conflict));
  }
  return conflicts;
}

std::string Describe(const ControlKernel& kernel, const PinConflict& conflict) {
  const ghost_core_state& core = kernel.cores()[conflict.core.value()];
  const std::string who = absl::StrJoin(conflict.slots, ", ", [&](std::string* out, uint32_t slot) {
    absl::StrAppend(out, NameOfTask(kernel, slot));
  });
  return absl::StrCat("CPUs ", CpusOfCore(core).Format(), " are one core, and ", who,
                      " are pinned there alone: they take turns, so each trust domain has at most ",
                      100 / conflict.domains,
                      "% of it while all compute; pin them to different cores, or not at all");
}

Troubles FindTroubles(const ControlKernel& kernel) {
  Troubles found;
  for (uint32_t slot = 0; slot < kernel.status_words().size(); ++slot) {
    const ghost_status_word& word = kernel.status_words()[slot];
    if (word.gtid == 0 || word.vcpu == GHOST_NO_VCPU) continue;
    const auto add = [&](std::string why, std::vector<VcpuTrouble>& to) {
      if (!why.empty()) to.push_back({Gtid(word.gtid), NameOfTask(kernel, slot), std::move(why)});
    };
    add(WhyUnprotected(kernel, slot), found.unprotected);
    add(WhyNotPromised(kernel, slot), found.refused);
  }
  for (const PinConflict& conflict : FindPinConflicts(kernel))
    found.conflicts.push_back(Describe(kernel, conflict));
  return found;
}

}  // namespace corral
