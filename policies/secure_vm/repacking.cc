// SPDX-License-Identifier: Apache-2.0
#include "policies/secure_vm/repacking.h"

#include <algorithm>

namespace corral::secure_vm {

Repacking::Repacking(const Topology& topology, const AdmissionCosts& costs) : costs_(costs) {
  for (const Core& core : topology.cores()) {
    siblings_.push_back(core.nr_cpus);
    cores_.emplace_back(core.nr_cpus, costs);
  }
}

void Repacking::Add(const PlacementRequest& vcpu, int core) {
  cores_[core].Add(vcpu.domain, vcpu.budget, vcpu.period);
  for (Gang& gang : gangs_) {
    const PlacementRequest& first = gang.vcpus.front();
    if (gang.core != core || first.domain != vcpu.domain || first.period != vcpu.period) continue;
    gang.vcpus.push_back(vcpu);
    return;
  }
  gangs_.push_back({.vcpus = {vcpu}, .core = core});
}

std::vector<TaskMove> Repacking::RoomFor(const PlacementRequest& vcpu) {
  std::vector<TaskMove> moves = ByOneMove(vcpu);
  return moves.empty() ? ByDealingOut(vcpu) : moves;
}

double Repacking::Share(const Gang& gang) const {
  CoreAdmission alone(siblings_[gang.core], costs_);
  Put(gang, alone);
  return alone.utilization();
}

void Repacking::Put(const Gang& gang, CoreAdmission& core) {
  for (const PlacementRequest& v : gang.vcpus) core.Add(v.domain, v.budget, v.period);
}

void Repacking::Take(const Gang& gang, CoreAdmission& core) {
  for (const PlacementRequest& v : gang.vcpus) core.Remove(v.domain, v.budget, v.period);
}

bool Repacking::Fits(const Gang& gang, CoreAdmission core) {
  for (const PlacementRequest& v : gang.vcpus) {
    if (!core.Fits(v.domain, v.budget, v.period)) return false;
    core.Add(v.domain, v.budget, v.period);
  }
  return true;
}

// -1 if it fits nowhere.
int Repacking::Fullest(const Gang& gang, const Cores& cores, int except) {
  int best = -1;
  for (int c = 0; c < static_cast<int>(cores.size()); ++c) {
    if (c == except || !Fits(gang, cores[c])) continue;
    if (best < 0 || cores[c].utilization() > cores[best].utilization()) best = c;
  }
  return best;
}

std::vector<TaskMove> Repacking::ByOneMove(const PlacementRequest& vcpu) {
  std::stable_sort(gangs_.begin(), gangs_.end(),
                   [&](const Gang& a, const Gang& b) { return Share(a) < Share(b); });
  for (const Gang& gang : gangs_) {
    CoreAdmission without = cores_[gang.core];
    Take(gang, without);
    if (!without.Fits(vcpu.domain, vcpu.budget, vcpu.period)) continue;
    const int to = Fullest(gang, cores_, gang.core);
    if (to < 0) continue;
    std::vector<TaskMove> moves;
    for (const PlacementRequest& v : gang.vcpus) moves.push_back({.slot = v.slot, .core = to});
    return moves;
  }
  return {};
}

std::vector<TaskMove> Repacking::ByDealingOut(const PlacementRequest& vcpu) const {
  Cores cores;
  for (const int siblings : siblings_) cores.emplace_back(siblings, costs_);
  std::vector<Gang> gangs = gangs_;
  gangs.push_back({.vcpus = {vcpu}, .core = -1});
  const auto share = [&](const Gang& gang) {
    return gang.core < 0 ? CoreAdmission(siblings_.front(), costs_)
                               .UtilizationWith(vcpu.domain, vcpu.budget, vcpu.period)
                         : Share(gang);
  };
  std::stable_sort(gangs.begin(), gangs.end(),
                   [&](const Gang& a, const Gang& b) { return share(a) > share(b); });
  std::vector<TaskMove> moves;
  for (const Gang& gang : gangs) {
    const int to = Fullest(gang, cores, -1);
    if (to < 0) return {};
    Put(gang, cores[to]);
    if (gang.core < 0 || gang.core == to) continue;
    for (const PlacementRequest& v : gang.vcpus) moves.push_back({.slot = v.slot, .core = to});
  }
  return moves;
}

}  // namespace corral::secure_vm
