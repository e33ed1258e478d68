// SPDX-License-Identifier: Apache-2.0
#include "policies/secure_vm/repacking.h"

#include <algorithm>
#include <tuple>

namespace corral::secure_vm {
namespace {

// Looks at whether one vCPU fits on one core: some hundred nanoseconds each.
constexpr int kTries = 20'000;

}  // namespace

Repacking::Repacking(const Topology& topology, const AdmissionCosts& costs)
    : topology_(topology), costs_(costs) {
  for (const Core& core : topology.cores()) cores_.emplace_back(core.nr_cpus, costs);
}

void Repacking::Add(const PlacementRequest& vcpu, int core) {
  cores_[core].Add(DemandOn(vcpu, core));
  for (Gang& gang : gangs_) {
    const PlacementRequest& first = *gang.vcpus.front();
    if (gang.core != core || first.domain != vcpu.domain || first.period != vcpu.period) continue;
    gang.vcpus.push_back(&vcpu);
    return;
  }
  gangs_.push_back({.vcpus = {&vcpu}, .core = core});
}

std::vector<TaskMove> Repacking::RoomFor(const PlacementRequest& vcpu) {
  std::vector<TaskMove> moves = ByOneMove(vcpu);
  return moves.empty() ? ByDealingOut(vcpu) : moves;
}

Demand Repacking::DemandOn(const PlacementRequest& vcpu, int core) const {
  return {.domain = vcpu.domain,
          .budget = vcpu.budget,
          .period = vcpu.period,
          .siblings = topology_.core(core).SiblingsIn(vcpu.cpus)};
}

// ---- one move ----

std::vector<TaskMove> Repacking::ByOneMove(const PlacementRequest& vcpu) {
  for (const Gang& gang : Movable()) {
    CoreAdmission without = cores_[gang.core];
    for (const PlacementRequest* v : gang.vcpus) without.Remove(DemandOn(*v, gang.core));
    if (!without.Fits(DemandOn(vcpu, gang.core))) continue;
    const int to = FullestFor(gang);
    if (to < 0) continue;
    std::vector<TaskMove> moves;
    for (const PlacementRequest* v : gang.vcpus) moves.push_back({.slot = v->slot, .core = to});
    return moves;
  }
  return {};
}

// Gangs, and their vCPUs one by one; the smallest first.
std::vector<Repacking::Gang> Repacking::Movable() const {
  std::vector<std::pair<double, Gang>> all;
  for (const Gang& gang : gangs_) {
    all.emplace_back(Share(gang), gang);
    if (gang.vcpus.size() == 1) continue;
    for (const PlacementRequest* v : gang.vcpus) {
      const Gang one = {.vcpus = {v}, .core = gang.core};
      all.emplace_back(Share(one), one);
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Gang> movable;
  for (auto& [share, gang] : all) movable.push_back(std::move(gang));
  return movable;
}

double Repacking::Share(const Gang& gang) const {
  CoreAdmission alone(topology_.core(gang.core).nr_cpus, costs_);
  for (const PlacementRequest* v : gang.vcpus) alone.Add(DemandOn(*v, gang.core));
  return alone.utilization();
}

bool Repacking::Fits(const Gang& gang, int core) const {
  if (!cores_[core].Fits(DemandOn(*gang.vcpus.front(), core))) return false;
  if (gang.vcpus.size() == 1) return true;
  CoreAdmission with = cores_[core];
  for (const PlacementRequest* v : gang.vcpus) {
    if (!with.Fits(DemandOn(*v, core))) return false;
    with.Add(DemandOn(*v, core));
  }
  return true;
}

// Another core for the gang; -1 if it fits on none.
int Repacking::FullestFor(const Gang& gang) const {
  int best = -1;
  for (int c = 0; c < topology_.nr_cores(); ++c) {
    const bool fuller = best < 0 || cores_[c].utilization() > cores_[best].utilization();
    if (c != gang.core && fuller && Fits(gang, c)) best = c;
  }
  return best;
}

// ---- dealing out ----

std::vector<TaskMove> Repacking::ByDealingOut(const PlacementRequest& vcpu) {
  for (CoreAdmission& core : cores_) core = CoreAdmission(core.nr_siblings(), costs_);
  items_ = {ItemFor(vcpu, -1)};
  for (const Gang& gang : gangs_) {
    for (const PlacementRequest* v : gang.vcpus) items_.push_back(ItemFor(*v, gang.core));
  }
  std::stable_sort(items_.begin(), items_.end(), [](const Item& a, const Item& b) {
    return std::tuple(a.choices, -a.share, a.vcpu->domain) <
           std::tuple(b.choices, -b.share, b.vcpu->domain);
  });
  tries_ = kTries;
  std::vector<TaskMove> moves;
  if (!Deal(0)) return moves;
  for (const Item& item : items_) {
    if (item.from >= 0 && item.from != item.to)
      moves.push_back({.slot = item.vcpu->slot, .core = item.to});
  }
  return moves;
}

Repacking::Item Repacking::ItemFor(const PlacementRequest& vcpu, int from) const {
  Item item = {.vcpu = &vcpu, .from = from};
  item.share = static_cast<double>(vcpu.budget.count()) / static_cast<double>(vcpu.period.count());
  for (const Core& core : topology_.cores()) item.choices += core.siblings.Intersects(vcpu.cpus);
  return item;
}

// This one and those behind it.
bool Repacking::Deal(size_t index) {
  if (index == items_.size()) return true;
  Item& item = items_[index];
  for (const int core : CoresFor(item)) {
    const Demand demand = DemandOn(*item.vcpu, core);
    cores_[core].Add(demand);
    item.to = core;
    if (Deal(index + 1)) return true;
    cores_[core].Remove(demand);
    if (tries_ <= 0) return false;
  }
  return false;
}

// Where it fits: where it costs least, the fullest first.
std::vector<int> Repacking::CoresFor(const Item& item) {
  std::vector<std::tuple<double, double, int>> ranked;
  for (int c = 0; c < topology_.nr_cores(); ++c) {
    const Demand demand = DemandOn(*item.vcpu, c);
    --tries_;
    if (!cores_[c].Fits(demand)) continue;
    ranked.emplace_back(cores_[c].Increase(demand), -cores_[c].utilization(), c);
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<int> cores;
  for (const auto& [increase, fullness, core] : ranked) cores.push_back(core);
  return cores;
}

}  // namespace corral::secure_vm
