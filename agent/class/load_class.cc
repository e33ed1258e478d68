// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/load_class.h"

#include <vector>

#include "agent/runtime/topology.h"

namespace corral {

absl::Status LoadClassHere(const ClassSizes& sizes) {
  const absl::StatusOr<Topology> topology = Topology::FromHost();
  if (!topology.ok()) return topology.status();
  std::vector<ClassCore> cores;
  for (const Core& core : topology->cores())
    cores.push_back({.siblings = core.siblings, .node = core.node});
  return LoadClass(cores, sizes);
}

}  // namespace corral
