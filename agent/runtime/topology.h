// SPDX-License-Identifier: Apache-2.0
// The machine as a scheduler sees it: physical cores with their SMT siblings, NUMA nodes and L3
// caches.
//
// A value: copy it, cut it down to a set of CPUs, hand it to a policy. Real machines and synthetic
// ones come from hwloc; FromCores() takes cores that somebody else knows (the class, a test).
// Units: Linux CPU ids; nodes and L3s are dense indices. Thread rules: plain data, immutable once
// made.
#ifndef CORRAL_AGENT_RUNTIME_TOPOLOGY_H_
#define CORRAL_AGENT_RUNTIME_TOPOLOGY_H_

#include <array>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernel/abi/ghost.h"
#include "kernel/cpu_set.h"
#include "kernel/types.h"

namespace corral {

struct Core {
  CoreId id{0};                                 // the class's index; in FromHost() the position
  std::array<CpuId, GHOST_MAX_SIBLINGS> cpu{};  // sibling i is cpu[i], in the class's order
  int nr_cpus = 0;
  CpuSet siblings;
  int node = 0;
  int l3 = 0;

  // Which sibling `cpu` is; -1 if it belongs to another core.
  int SiblingOf(CpuId wanted) const {
    for (int i = 0; i < nr_cpus; ++i) {
      if (cpu[i] == wanted) return i;
    }
    return -1;
  }
  // A bit per sibling that is in `cpus`.
  uint32_t SiblingsIn(const CpuSet& cpus) const {
    uint32_t bits = 0;
    for (int i = 0; i < nr_cpus; ++i) bits |= (cpus.Contains(cpu[i]) ? 1u : 0u) << i;
    return bits;
  }
};

class Topology {
 public:
  Topology() = default;

  // The machine that we run on. Internal: hwloc could not read it.
  static absl::StatusOr<Topology> FromHost();
  // A made-up machine in hwloc's synthetic notation, for example "numa:2 core:2 pu:2".
  // InvalidArgument.
  static absl::StatusOr<Topology> FromHwlocSynthetic(const std::string& description);
  // Another machine, as `lstopo FILE.xml` wrote it there. InvalidArgument.
  static absl::StatusOr<Topology> FromHwlocXml(const std::string& file);
  // Cores that are already known; their siblings set and nr_cpus must agree with cpu[].
  static Topology FromCores(std::vector<Core> cores);

  // The cores that lie wholly within `cpus`. A core that only partly does is left out.
  Topology Restrict(const CpuSet& cpus) const;

  const std::vector<Core>& cores() const { return cores_; }
  const Core& core(int index) const { return cores_[index]; }
  int nr_cores() const { return static_cast<int>(cores_.size()); }
  int nr_nodes() const { return nr_nodes_; }
  const CpuSet& cpus() const { return cpus_; }
  // The position of the core that `cpu` belongs to; -1 if to none of these.
  int CoreOf(CpuId cpu) const { return cpus_.Contains(cpu) ? core_of_cpu_[cpu.value()] : -1; }
  // The siblings of `cpu`, itself included; empty if it is not in here.
  CpuSet SiblingsOf(CpuId cpu) const {
    const int index = CoreOf(cpu);
    return index < 0 ? CpuSet() : cores_[index].siblings;
  }

 private:
  std::vector<Core> cores_;
  std::vector<int> core_of_cpu_;
  CpuSet cpus_;
  int nr_nodes_ = 0;
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_TOPOLOGY_H_
