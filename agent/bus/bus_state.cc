// SPDX-License-Identifier: Apache-2.0
#include "agent/bus/bus_state.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/views/forced_idle.h"
#include "agent/views/protection.h"

namespace corral {
namespace {

std::vector<std::string> Lines(const std::vector<VcpuTrouble>& troubles) {
  std::vector<std::string> lines;
  for (const VcpuTrouble& trouble : troubles)
    lines.push_back(absl::StrCat(trouble.name, ": ", trouble.why));
  return lines;
}

}  // namespace

BusState LookForBus(Mode mode, const ControlKernel* kernel) {
  BusState state{.mode = NameOf(mode), .class_state = "absent"};
  if (kernel == nullptr) return state;
  state.class_state = kernel->info().enabled != 0 ? "in-charge" : "lost";
  state.looked = kernel->Now().time_since_epoch();
  ClassView view = ViewClass(*kernel);
  state.breaches = BreachesOf(view);
  state.forced_idle = ForcedIdleCpus(*kernel, view);
  Troubles troubles = FindTroubles(*kernel);
  state.unprotected = Lines(troubles.unprotected);
  state.refused = Lines(troubles.refused);
  state.conflicts = std::move(troubles.conflicts);
  state.enclaves = std::move(view.enclaves);
  state.domains = std::move(view.domains);
  state.cores = std::move(view.cores);
  return state;
}

}  // namespace corral
