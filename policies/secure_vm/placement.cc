// SPDX-License-Identifier: Apache-2.0
#include "policies/secure_vm/placement.h"

#include <algorithm>
#include <tuple>

#include "policies/secure_vm/repacking.h"
#include "policies/secure_vm/spreading.h"

namespace corral::secure_vm {

Placement::Placement(const Topology& topology, const AdmissionCosts& costs)
    : topology_(topology), costs_(costs) {
  for (const Core& core : topology.cores())
    load_.push_back({.admission = CoreAdmission(core.nr_cpus, costs)});
}

Demand Placement::DemandOn(const PlacementRequest& vcpu, int core) const {
  return {.domain = vcpu.domain,
          .budget = vcpu.budget,
          .period = vcpu.period,
          .siblings = SiblingsFor(vcpu, core)};
}

// The one that it is best on, then where its domain has most vCPUs already, if there is room for
// one more; else the least loaded.
int Placement::ChooseNode(const PlacementRequest& vcpu) const {
  std::vector<Node> nodes(topology_.nr_nodes());
  for (int c = 0; c < topology_.nr_cores(); ++c) {
    Node& node = nodes[topology_.core(c).node];
    node.cpus += topology_.core(c).nr_cpus;
    node.vcpus += load_[c].vcpus;
    node.of_domain += static_cast<int>(load_[c].Of(vcpu.domain));
    node.usable |= SiblingsFor(vcpu, c) != 0;
  }
  int best = 0;
  const auto rank = [&](int n) {
    const Node& node = nodes[n];
    const bool room = node.of_domain < node.cpus;
    const double load = node.cpus == 0 ? 0 : static_cast<double>(node.vcpus) / node.cpus;
    return std::tuple(node.cpus == 0, !node.usable, !(room && n == vcpu.node),
                      room ? -node.of_domain : 1, load);
  };
  for (int n = 1; n < topology_.nr_nodes(); ++n) {
    if (rank(n) < rank(best)) best = n;
  }
  return best;
}

// Where the budget fits, in `node` if possible; -1 if nowhere.
int Placement::ChooseFitting(const PlacementRequest& vcpu, int node) const {
  int best = -1;
  std::tuple<bool, double, double, int> best_rank;
  for (int c = 0; c < topology_.nr_cores(); ++c) {
    const CoreAdmission& here = load_[c].admission;
    const Demand demand = DemandOn(vcpu, c);
    if (!here.Fits(demand)) continue;
    const double more = here.Increase(demand);
    const std::tuple rank(topology_.core(c).node != node, more, here.utilization() + more,
                          load_[c].vcpus);
    if (best >= 0 && rank >= best_rank) continue;
    best = c;
    best_rank = rank;
  }
  return best;
}

// One that its domain does not need yet, beside those that it has there already.
bool Placement::HasSiblingFor(const PlacementRequest& vcpu, int core) const {
  const auto it = load_[core].by_domain.find(vcpu.domain);
  const int nr_siblings = topology_.core(core).nr_cpus;
  if (it == load_[core].by_domain.end()) return SiblingsFor(vcpu, core) != 0;
  if (static_cast<int>(it->second.size()) >= nr_siblings) return false;
  std::vector<Siblings> each = it->second;
  each.push_back(SiblingsFor(vcpu, core));
  return AtOnce(each, nr_siblings) == static_cast<int>(each.size());
}

int Placement::Choose(const PlacementRequest& vcpu) const {
  const int node = ChooseNode(vcpu);
  if (vcpu.budget > Duration(0)) {
    const int fitting = ChooseFitting(vcpu, node);
    if (fitting >= 0) return fitting;
  }
  const auto rank = [&](int c) {
    const bool begun = load_[c].Of(vcpu.domain) > 0 && HasSiblingFor(vcpu, c);
    return std::tuple(SiblingsFor(vcpu, c) == 0, topology_.core(c).node != node, !begun,
                      load_[c].vcpus, domains_on(c));
  };
  int best = 0;
  auto best_rank = rank(best);
  for (int c = 1; c < topology_.nr_cores(); ++c) {
    const auto here = rank(c);
    if (here >= best_rank) continue;
    best = c;
    best_rank = here;
  }
  return best;
}

// Where it is, if that will do: moving costs its caches.
CorePromise Placement::Judge(const PlacementRequest& vcpu, int core) const {
  if (load_[core].admission.Fits(DemandOn(vcpu, core)))
    return {.core = core, .granted = vcpu.budget};
  const bool anywhere = vcpu.node < 0 || vcpu.node >= topology_.nr_nodes();
  const int fitting = ChooseFitting(vcpu, anywhere ? topology_.core(core).node : vcpu.node);
  if (fitting >= 0) return {.core = fitting, .granted = vcpu.budget};
  CorePromise most = {.core = core};
  for (int c = 0; c < topology_.nr_cores(); ++c) {
    Demand more = DemandOn(vcpu, c);
    more.budget = most.free + std::chrono::microseconds(1);
    if (!load_[c].admission.Fits(more)) continue;
    most = {.core = c, .free = load_[c].admission.Room(more)};
  }
  return most;
}

void Placement::Add(const PlacementRequest& vcpu, int core) {
  vcpus_[vcpu.slot] = {vcpu, core};
  const Siblings siblings = SiblingsFor(vcpu, core);
  if (siblings == 0) return;
  ++load_[core].vcpus;
  load_[core].by_domain[vcpu.domain].push_back(siblings);
  if (vcpu.granted > Duration(0)) load_[core].admission.Add(DemandOn(vcpu, core));
}

void Placement::Remove(const PlacementRequest& vcpu, int core) {
  vcpus_.erase(vcpu.slot);
  const Siblings siblings = SiblingsFor(vcpu, core);
  const auto domain = load_[core].by_domain.find(vcpu.domain);
  if (siblings == 0 || domain == load_[core].by_domain.end()) return;
  if (vcpu.granted > Duration(0)) load_[core].admission.Remove(DemandOn(vcpu, core));
  const auto it = std::find(domain->second.begin(), domain->second.end(), siblings);
  if (it == domain->second.end()) return;
  --load_[core].vcpus;
  domain->second.erase(it);
  if (domain->second.empty()) load_[core].by_domain.erase(domain);
}

std::vector<TaskMove> Placement::MakeRoom(const PlacementRequest& vcpu) const {
  Repacking repacking(topology_, costs_);
  for (const auto& [slot, placed] : vcpus_) {
    const auto& [other, core] = placed;
    if (other.granted > Duration(0) && SiblingsFor(other, core) != 0) repacking.Add(other, core);
  }
  return repacking.RoomFor(vcpu);
}

std::vector<TaskMove> Placement::Spread(PerCorePolicy::Open open,
                                        absl::FunctionRef<bool(int node)> balanced) const {
  constexpr size_t kAtOnce = 16;
  Spreading spreading(topology_, open);
  for (const auto& [slot, placed] : vcpus_) {
    const auto& [vcpu, core] = placed;
    if (SiblingsFor(vcpu, core) == 0) continue;
    spreading.Add(vcpu, core, /*stays=*/vcpu.granted > Duration(0));
  }
  return spreading.Moves(kAtOnce, balanced);
}

}  // namespace corral::secure_vm
