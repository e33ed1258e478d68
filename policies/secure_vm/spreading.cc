// SPDX-License-Identifier: Apache-2.0
#include "policies/secure_vm/spreading.h"

#include <algorithm>

namespace corral::secure_vm {

Spreading::Spreading(const Topology& topology, May may)
    : topology_(topology), may_(may), gangs_on_(topology.nr_cores()) {}

void Spreading::Add(uint32_t slot, DomainId domain, int core, bool stays) {
  Gang& gang = gangs_[{domain, core}];
  gangs_on_[core] += gang.slots.empty();
  gang.slots.push_back(slot);
  gang.stays |= stays;
}

std::vector<TaskMove> Spreading::Moves(size_t most) {
  bool moved = true;
  while (moved && moves_.size() < most) {
    moved = false;
    for (int node = 0; node < topology_.nr_nodes() && !moved; ++node) moved = Balance(node);
    moved = moved || Merge();
    for (int node = 0; node < topology_.nr_nodes() && !moved; ++node) moved = Split(node);
  }
  return std::move(moves_);
}

bool Spreading::Balance(int node) {
  int fullest = -1, emptiest = -1;
  for (int c = 0; c < topology_.nr_cores(); ++c) {
    if (topology_.core(c).node != node) continue;
    if (emptiest < 0 || gangs_on_[c] < gangs_on_[emptiest]) emptiest = c;
  }
  if (emptiest < 0) return false;
  auto gang = gangs_.end();
  for (int c = 0; c < topology_.nr_cores(); ++c) {
    const bool fuller = fullest < 0 || gangs_on_[c] > gangs_on_[fullest];
    if (topology_.core(c).node != node || !fuller || gangs_on_[c] < gangs_on_[emptiest] + 2)
      continue;
    const auto smallest = Smallest(c, emptiest);
    if (smallest == gangs_.end()) continue;
    fullest = c;
    gang = smallest;
  }
  if (fullest < 0) return false;
  Move(gang, gang->second.slots.size(), emptiest);
  return true;
}

// Of the gangs on `core` that could live on `to`, where their domain has none yet.
Spreading::Gangs::iterator Spreading::Smallest(int core, int to) {
  auto best = gangs_.end();
  for (auto it = gangs_.begin(); it != gangs_.end(); ++it) {
    const auto& [domain, on] = it->first;
    if (on != core || it->second.stays || gangs_.count({domain, to}) > 0) continue;
    const bool smaller =
        best == gangs_.end() || it->second.slots.size() < best->second.slots.size();
    if (smaller && MayAll(it->second, to)) best = it;
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
  const size_t there = gangs_.find({domain, other})->second.slots.size();
  const auto siblings = static_cast<size_t>(topology_.core(other).nr_cpus);
  const size_t nr = from->second.slots.size();
  if (topology_.core(core).node != topology_.core(other).node || nr + there > siblings ||
      gangs_on_[core] < 2 || gangs_on_[other] > gangs_on_[core] || from->second.stays ||
      !MayAll(from->second, other)) {
    return false;
  }
  Move(from, nr, other);
  return true;
}

bool Spreading::Split(int node) {
  int empty = -1;
  for (int c = 0; c < topology_.nr_cores() && empty < 0; ++c) {
    if (topology_.core(c).node == node && gangs_on_[c] == 0) empty = c;
  }
  if (empty < 0) return false;
  auto largest = gangs_.end();
  for (auto it = gangs_.begin(); it != gangs_.end(); ++it) {
    const Gang& gang = it->second;
    const int core = it->first.second;
    if (topology_.core(core).node != node || gangs_on_[core] != 1 || gang.slots.size() < 2 ||
        gang.stays || !may_(gang.slots.back(), empty)) {
      continue;
    }
    if (largest == gangs_.end() || gang.slots.size() > largest->second.slots.size()) largest = it;
  }
  if (largest == gangs_.end()) return false;
  Move(largest, 1, empty);
  return true;
}

bool Spreading::MayAll(const Gang& gang, int core) const {
  return std::all_of(gang.slots.begin(), gang.slots.end(),
                     [&](uint32_t slot) { return may_(slot, core); });
}

// The last `nr` of the gang.
void Spreading::Move(Gangs::iterator from, size_t nr, int to) {
  const auto [domain, core] = from->first;
  for (; nr > 0; --nr) {
    const uint32_t slot = from->second.slots.back();
    from->second.slots.pop_back();
    Add(slot, domain, to, /*stays=*/false);
    moves_.push_back({.slot = slot, .core = to});
  }
  if (!from->second.slots.empty()) return;
  gangs_.erase(from);
  --gangs_on_[core];
}

}  // namespace corral::secure_vm
