// SPDX-License-Identifier: Apache-2.0
#include "policies/secure_vm/spreading.h"

#include <algorithm>

#include "policies/secure_vm/siblings.h"

namespace corral::secure_vm {

Spreading::Spreading(const Topology& topology, PerCorePolicy::Open open)
    : topology_(topology), open_(open), domains_(topology.nr_cores()) {}

void Spreading::Add(const PlacementRequest& vcpu, int core, bool stays) {
  Gang& gang = gangs_[{vcpu.domain, core}];
  domains_[core].insert(vcpu.domain);
  gang.vcpus.push_back(&vcpu);
  gang.stays |= stays;
}

std::vector<TaskMove> Spreading::Moves(size_t most, absl::FunctionRef<bool(int node)> balanced) {
  const auto any_node = [&](auto step) {
    for (int node = 0; node < topology_.nr_nodes(); ++node) {
      if (!balanced(node) && step(node)) return true;
    }
    return false;
  };
  bool moved = true;
  while (moved && moves_.size() < most) {
    moved = any_node([&](int node) { return Balance(node); }) || Merge() ||
            any_node([&](int node) { return Split(node); });
  }
  return std::move(moves_);
}

// The cores of the node, those with fewest gangs first.
std::vector<int> Spreading::ByGangs(int node) const {
  std::vector<int> cores;
  for (int c = 0; c < topology_.nr_cores(); ++c) {
    if (topology_.core(c).node == node) cores.push_back(c);
  }
  std::stable_sort(cores.begin(), cores.end(),
                   [&](int a, int b) { return domains_[a].size() < domains_[b].size(); });
  return cores;
}

bool Spreading::Balance(int node) {
  const std::vector<int> cores = ByGangs(node);
  for (const int to : cores) {
    if (!open_(to)) continue;
    for (auto from = cores.rbegin(); from != cores.rend(); ++from) {
      if (domains_[*from].size() < domains_[to].size() + 2) break;
      const auto gang = Smallest(*from, to);
      if (gang == gangs_.end()) continue;
      while (GiveOne(gang, to)) {
      }
      Leave(gang);
      return true;
    }
  }
  return false;
}

// Of the gangs on `core` that could live on `to`, where their domain has none yet.
Spreading::Gangs::iterator Spreading::Smallest(int core, int to) {
  auto best = gangs_.end();
  for (const DomainId domain : domains_[core]) {
    const auto gang = gangs_.find({domain, core});
    if (gang->second.stays || domains_[to].count(domain) > 0) continue;
    const bool smaller =
        best == gangs_.end() || gang->second.vcpus.size() < best->second.vcpus.size();
    if (smaller && MayAll(gang->second, to)) best = gang;
  }
  return best;
}

bool Spreading::Merge() {
  for (auto a = gangs_.begin(); a != gangs_.end(); ++a) {
    const DomainId domain = a->first.first;
    for (auto b = std::next(a); b != gangs_.end() && b->first.first == domain; ++b) {
      const int one = a->first.second, other = b->first.second;
      if (Join(domain, one, other) || Join(domain, other, one)) return true;
    }
  }
  return false;
}

// The domain's gang on `core` goes to `other`, if that is a gain.
bool Spreading::Join(DomainId domain, int core, int other) {
  const auto from = gangs_.find({domain, core});
  const auto to = gangs_.find({domain, other});
  if (topology_.core(core).node != topology_.core(other).node || domains_[core].size() < 2 ||
      domains_[other].size() > domains_[core].size() || from->second.stays ||
      !FitTogether(from->second, to->second, other) || !MayAll(from->second, other)) {
    return false;
  }
  while (GiveOne(from, other)) {
  }
  Leave(from);
  return true;
}

bool Spreading::Split(int node) {
  for (int c = 0; c < topology_.nr_cores(); ++c) {
    const bool empty = topology_.core(c).node == node && domains_[c].empty();
    if (empty && open_(c) && SplitTo(c)) return true;
  }
  return false;
}

// Of the largest gang that has a core to itself and one that may go.
bool Spreading::SplitTo(int empty) {
  auto largest = gangs_.end();
  for (auto it = gangs_.begin(); it != gangs_.end(); ++it) {
    const auto& [domain, core] = it->first;
    const Gang& gang = it->second;
    if (topology_.core(core).node != topology_.core(empty).node || domains_[core].size() != 1 ||
        gang.vcpus.size() < 2 || gang.stays) {
      continue;
    }
    if (largest != gangs_.end() && gang.vcpus.size() <= largest->second.vcpus.size()) continue;
    if (MayAny(gang, empty)) largest = it;
  }
  return largest != gangs_.end() && GiveOne(largest, empty);
}

bool Spreading::May(const PlacementRequest& vcpu, int core) const {
  return open_(core) && topology_.core(core).SiblingsIn(vcpu.cpus) != 0;
}

bool Spreading::MayAll(const Gang& gang, int core) const {
  return std::all_of(gang.vcpus.begin(), gang.vcpus.end(),
                     [&](const PlacementRequest* vcpu) { return May(*vcpu, core); });
}

bool Spreading::MayAny(const Gang& gang, int core) const {
  return std::any_of(gang.vcpus.begin(), gang.vcpus.end(),
                     [&](const PlacementRequest* vcpu) { return May(*vcpu, core); });
}

// Whether there is a sibling for each of both.
bool Spreading::FitTogether(const Gang& gang, const Gang& other, int core) const {
  const Core& place = topology_.core(core);
  const size_t nr = gang.vcpus.size() + other.vcpus.size();
  if (nr > static_cast<size_t>(place.nr_cpus)) return false;
  std::vector<Siblings> each;
  for (const Gang* both : {&gang, &other}) {
    for (const PlacementRequest* vcpu : both->vcpus) each.push_back(place.SiblingsIn(vcpu->cpus));
  }
  return AtOnce(each, place.nr_cpus) == static_cast<int>(nr);
}

// The last of the gang that may go.
bool Spreading::GiveOne(Gangs::iterator from, int to) {
  std::vector<const PlacementRequest*>& vcpus = from->second.vcpus;
  const auto last = std::find_if(vcpus.rbegin(), vcpus.rend(),
                                 [&](const PlacementRequest* vcpu) { return May(*vcpu, to); });
  if (last == vcpus.rend()) return false;
  const PlacementRequest& vcpu = **last;
  vcpus.erase(std::next(last).base());
  Add(vcpu, to, /*stays=*/false);
  moves_.push_back({.slot = vcpu.slot, .core = to});
  return true;
}

// All of it went.
void Spreading::Leave(Gangs::iterator from) {
  domains_[from->first.second].erase(from->first.first);
  gangs_.erase(from);
}

}  // namespace corral::secure_vm
