// SPDX-License-Identifier: Apache-2.0
#include "agent/class/load_class.h"

#include <vector>

#include "agent/runtime/topology.h"

namespace corral {
namespace {

absl::StatusOr<std::vector<ClassCore>> CoresHere() {
  const absl::StatusOr<Topology> topology = Topology::FromHost();
  if (!topology.ok()) return topology.status();
  std::vector<ClassCore> cores;
  for (const Core& core : topology->cores())
    cores.push_back({.siblings = core.siblings, .node = core.node});
  return cores;
}

}  // namespace

absl::Status LoadClassHere(const ClassSizes& sizes) {
  const absl::StatusOr<std::vector<ClassCore>> cores = CoresHere();
  return cores.ok() ? LoadClass(*cores, sizes) : cores.status();
}

absl::StatusOr<PreparedClass> PrepareClassHere(const ClassSizes& sizes) {
  const absl::StatusOr<std::vector<ClassCore>> cores = CoresHere();
  if (!cores.ok()) return cores.status();
  return PreparedClass::Make(*cores, sizes);
}

}  // namespace corral
