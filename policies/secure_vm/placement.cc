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

// Where the domain has most vCPUs already and room for one more; else the least loaded node.
int Placement::ChooseNode(DomainId domain) const {
  std::vector<Node> nodes(topology_.nr_nodes());
  for (int c = 0; c < topology_.nr_cores(); ++c) {
    Node& node = nodes[topology_.core(c).node];
    node.cpus += topology_.core(c).nr_cpus;
    node.vcpus += load_[c].vcpus;
    node.of_domain += load_[c].Of(domain);
  }
  int best = -1;
  for (int n = 0; n < static_cast<int>(nodes.size()); ++n) {
    if (nodes[n].cpus == 0) continue;
    const auto rank = [&](const Node& node) {
      const int here = node.of_domain < node.cpus ? node.of_domain : -1;
      return std::make_tuple(-here, static_cast<double>(node.vcpus) / node.cpus);
    };
    if (best < 0 || rank(nodes[n]) < rank(nodes[best])) best = n;
  }
  return best;
}

// Where the budget fits, in `node` if possible; -1 if nowhere.
int Placement::ChooseFitting(const PlacementRequest& vcpu, int node) const {
  int best = -1;
  std::tuple<bool, double, double, int> best_rank;
  for (int c = 0; c < topology_.nr_cores(); ++c) {
    const CoreAdmission& here = load_[c].admission;
    if (!here.Fits(vcpu.domain, vcpu.budget, vcpu.period)) continue;
    const double with = here.UtilizationWith(vcpu.domain, vcpu.budget, vcpu.period);
    const std::tuple rank(topology_.core(c).node != node, with - here.utilization(), with,
                          load_[c].vcpus);
    if (best >= 0 && rank >= best_rank) continue;
    best = c;
    best_rank = rank;
  }
  return best;
}

int Placement::Choose(const PlacementRequest& vcpu) const {
  const int node = ChooseNode(vcpu.domain);
  if (vcpu.budget > Duration(0)) {
    const int fitting = ChooseFitting(vcpu, node);
    if (fitting >= 0) return fitting;
  }
  int best = 0;
  auto rank = [&](int c) {
    const Core& core = topology_.core(c);
    const int here = load_[c].Of(vcpu.domain);
    const bool begun = here > 0 && here < core.nr_cpus;
    return std::make_tuple(core.node != node, !begun, load_[c].vcpus, domains_on(c));
  };
  for (int c = 1; c < topology_.nr_cores(); ++c) {
    if (rank(c) < rank(best)) best = c;
  }
  return best;
}

// Where it is, if that will do: moving costs its caches.
CorePromise Placement::Judge(const PlacementRequest& vcpu, int core) const {
  if (load_[core].admission.Fits(vcpu.domain, vcpu.budget, vcpu.period))
    return {.core = core, .granted = vcpu.budget};
  const int fitting = ChooseFitting(vcpu, topology_.core(core).node);
  if (fitting >= 0) return {.core = fitting, .granted = vcpu.budget};
  CorePromise most = {.core = core};
  for (int c = 0; c < topology_.nr_cores(); ++c) {
    const Duration room = load_[c].admission.Room(vcpu.domain, vcpu.period);
    if (room > most.free) most = {.core = c, .free = room};
  }
  return most;
}

void Placement::Add(const PlacementRequest& vcpu, int core) {
  ++load_[core].vcpus;
  ++load_[core].by_domain[vcpu.domain];
  vcpus_[vcpu.slot] = {vcpu, core};
  if (vcpu.granted == Duration(0)) return;
  load_[core].admission.Add(vcpu.domain, vcpu.granted, vcpu.period);
}

std::vector<TaskMove> Placement::MakeRoom(const PlacementRequest& vcpu) const {
  Repacking repacking(topology_, costs_);
  for (const auto& [slot, placed] : vcpus_) {
    if (placed.first.granted > Duration(0)) repacking.Add(placed.first, placed.second);
  }
  return repacking.RoomFor(vcpu);
}

std::vector<TaskMove> Placement::Spread(PerCorePolicy::MayRun may) const {
  constexpr size_t kAtOnce = 16;
  Spreading spreading(topology_, may);
  for (const auto& [slot, placed] : vcpus_)
    spreading.Add(slot, placed.first.domain, placed.second, placed.first.granted > Duration(0));
  return spreading.Moves(kAtOnce);
}

void Placement::Remove(const PlacementRequest& vcpu, int core) {
  if (vcpu.granted > Duration(0)) {
    load_[core].admission.Remove(vcpu.domain, vcpu.granted, vcpu.period);
  }
  vcpus_.erase(vcpu.slot);
  const auto it = load_[core].by_domain.find(vcpu.domain);
  if (it == load_[core].by_domain.end()) return;
  --load_[core].vcpus;
  if (--it->second == 0) load_[core].by_domain.erase(it);
}

}  // namespace corral::secure_vm
