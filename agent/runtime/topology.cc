// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/topology.h"

#include <hwloc.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace corral {
namespace {

struct HwlocDelete {
  void operator()(hwloc_topology* topology) const { hwloc_topology_destroy(topology); }
};
using Hwloc = std::unique_ptr<hwloc_topology, HwlocDelete>;

absl::StatusOr<Hwloc> InitHwloc() {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) {
    return absl::InternalError("hwloc could not be initialised; is the library damaged?");
  }
  return Hwloc(raw);
}

// The first NUMA node whose CPUs include those of `core`; 0 on machines without.
int NodeOf(hwloc_topology_t topology, hwloc_obj_t core) {
  const hwloc_obj_t node = hwloc_get_obj_by_type(topology, HWLOC_OBJ_NUMANODE, 0);
  if (node == nullptr || core->nodeset == nullptr) return 0;
  const int os_index = hwloc_bitmap_first(core->nodeset);
  const hwloc_obj_t found =
      os_index < 0 ? nullptr : hwloc_get_numanode_obj_by_os_index(topology, os_index);
  return found == nullptr ? 0 : static_cast<int>(found->logical_index);
}

// Machines that tell no L3 count each node as one.
int L3Of(hwloc_topology_t topology, hwloc_obj_t core, int node) {
  const hwloc_obj_t l3 = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_L3CACHE, core);
  return l3 == nullptr ? node : static_cast<int>(l3->logical_index);
}

Core ReadCore(hwloc_topology_t topology, hwloc_obj_t object) {
  Core core;
  core.node = NodeOf(topology, object);
  core.l3 = L3Of(topology, object, core.node);
  int cpu = -1;
  while ((cpu = hwloc_bitmap_next(object->cpuset, cpu)) >= 0 && core.nr_cpus < GHOST_MAX_SIBLINGS) {
    core.siblings.Insert(CpuId(cpu));
    core.cpu[core.nr_cpus++] = CpuId(cpu);
  }
  return core;
}

absl::StatusOr<Topology> Read(hwloc_topology_t topology) {
  if (hwloc_topology_load(topology) != 0) {
    return absl::InternalError("hwloc could not read the topology; does `lstopo` work here?");
  }
  // Machines without SMT may tell PUs only.
  const hwloc_obj_type_t type =
      hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
  std::vector<Core> cores;
  for (hwloc_obj_t o = nullptr; (o = hwloc_get_next_obj_by_type(topology, type, o)) != nullptr;) {
    cores.push_back(ReadCore(topology, o));
    cores.back().id = CoreId(static_cast<uint32_t>(cores.size() - 1));
  }
  if (cores.empty()) return absl::InternalError("hwloc found no CPUs");
  return Topology::FromCores(std::move(cores));
}

}  // namespace

absl::StatusOr<Topology> Topology::FromHost() {
  absl::StatusOr<Hwloc> hwloc = InitHwloc();
  if (!hwloc.ok()) return hwloc.status();
  // A cgroup that allows us few CPUs does not make the machine smaller.
  hwloc_topology_set_flags(hwloc->get(), HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
  return Read(hwloc->get());
}

absl::StatusOr<Topology> Topology::FromHwlocSynthetic(const std::string& description) {
  absl::StatusOr<Hwloc> hwloc = InitHwloc();
  if (!hwloc.ok()) return hwloc.status();
  if (hwloc_topology_set_synthetic(hwloc->get(), description.c_str()) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", description, "\" is no synthetic topology of hwloc; write one such as ",
                     "\"numa:2 core:2 pu:2\""));
  }
  return Read(hwloc->get());
}

absl::StatusOr<Topology> Topology::FromHwlocXml(const std::string& file) {
  absl::StatusOr<Hwloc> hwloc = InitHwloc();
  if (!hwloc.ok()) return hwloc.status();
  const auto unreadable = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat(file, " is no topology of hwloc; make one with `lstopo ", file, "`"));
  };
  if (hwloc_topology_set_xml(hwloc->get(), file.c_str()) != 0) return unreadable();
  absl::StatusOr<Topology> topology = Read(hwloc->get());
  return topology.ok() ? topology : unreadable();
}

Topology Topology::FromCores(std::vector<Core> cores) {
  Topology topology;
  topology.cores_ = std::move(cores);
  topology.core_of_cpu_.assign(CpuSet::kMaxCpus, -1);
  for (int i = 0; i < topology.nr_cores(); ++i) {
    const Core& core = topology.cores_[i];
    topology.nr_nodes_ = std::max(topology.nr_nodes_, core.node + 1);
    core.siblings.ForEach([&](CpuId cpu) { topology.core_of_cpu_[cpu.value()] = i; });
    topology.cpus_ = topology.cpus_ | core.siblings;
  }
  return topology;
}

Topology Topology::Restrict(const CpuSet& cpus) const {
  std::vector<Core> kept;
  for (const Core& core : cores_) {
    if (cpus.Contains(core.siblings)) kept.push_back(core);
  }
  return FromCores(std::move(kept));
}

}  // namespace corral
