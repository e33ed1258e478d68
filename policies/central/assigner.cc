// SPDX-License-Identifier: Apache-2.0
#include "policies/central/assigner.h"

#include <algorithm>
#include <tuple>

namespace corral::central {

using Target = CoreTransaction::Target;

Assigner::Assigner(const Board& board)
    : board_(board),
      kept_for_(board.topology().nr_cores()),
      last_domain_(board.topology().nr_cores()) {
  spots_.reserve(board.topology().cpus().size());
}

void Assigner::Begin(EnclaveTransaction& txn) {
  txn_ = &txn;
  spots_.clear();
  if (any_kept_) std::fill(kept_for_.begin(), kept_for_.end(), DomainId(0));
  any_kept_ = hopeless_ = false;
  failed_ = {};
  for (int c = 0; c < board_.topology().nr_cores(); ++c) {
    for (int i = 0; i < txn.core(c).nr_siblings(); ++i) {
      if (txn.core(c).usable(i)) spots_.push_back({c, i});
    }
  }
}

bool Assigner::Place(const Entry& waiting, Yields yields) {
  const Task& task = *waiting.task;
  const bool like_last = task.domain == failed_.domain && waiting.rank == failed_.rank &&
                         task.affinity == failed_.affinity;
  if (like_last) return false;
  if (Place(waiting, yields, [](const Entry&, int, int) { return 0; })) return true;
  failed_ = {.domain = task.domain, .rank = waiting.rank, .affinity = task.affinity};
  return false;
}

void Assigner::Serve(const Queue& queue, Yields yields) {
  for (const Entry* entry = queue.front(); entry != nullptr; entry = Queue::Next(*entry)) {
    if (!Place(*entry, yields) && hopeless()) return;
  }
}

bool Assigner::Place(const Entry& waiting, Yields yields, Distance distance) {
  const bool placed = TryPlace(waiting, yields, distance);
  if (!placed) Reserve(waiting);
  return placed;
}

bool Assigner::TryPlace(const Entry& waiting, Yields yields, Distance distance) {
  const Spot spot = Find(waiting, yields, distance);
  if (spot == Spot()) return false;
  Take(waiting, spot);
  return true;
}

// An idle CPU before one whose task has to leave; as near as possible, on a core that is as empty
// as possible, and where the task ran last. Of those that have to leave, one of the last rank; of
// these the one where the task ran last, if they are of another rank, which has no turns to keep
// beside it; and the one that has been there for longest.
Assigner::Spot Assigner::Find(const Entry& waiting, Yields yields, Distance distance) {
  const Spot last = LastSpot(*waiting.task);
  Spot best;
  std::tuple<bool, int, int, int64_t> least;
  hopeless_ = true;
  for (const Spot& spot : spots_) {
    const Target target = txn_->core(spot.core).sibling(spot.sibling).target;
    if (target == Target::kRun) continue;
    // Nobody, where whoever is there is told to leave.
    const Entry* const running =
        target == Target::kIdle ? nullptr : board_.at(spot.core, spot.sibling);
    if (running != nullptr && !yields(*running, waiting)) continue;
    hopeless_ = false;
    if (!MayUse(waiting, spot)) continue;
    const int crowd = Crowd(spot.core);
    const int far = distance(waiting, spot.core, crowd);
    if (far == kOutOfReach) continue;
    const Fit fit = Fits(waiting, spot.core, yields);
    if (fit == Fit::kNo) continue;
    const bool evicts = running != nullptr || fit == Fit::kIfOthersLeave;
    std::tuple price(evicts, far, crowd, int64_t{Detour(spot, last)});
    if (running != nullptr) {
      const int detour = running->rank != waiting.rank ? Detour(spot, last) : 0;
      price = {true, far, detour - kDetours * running->rank,
               running->since.time_since_epoch().count()};
    }
    if (best != Spot() && price >= least) continue;
    best = spot;
    least = price;
    if (price == std::tuple(false, 0, 0, int64_t{0})) break;
  }
  return best;
}

void Assigner::Take(const Entry& waiting, const Spot& spot) {
  const DomainId domain = waiting.task->domain;
  const CoreTransaction& txn = txn_->core(spot.core);
  // What we take for idle shall be idle, whoever may be there, when it becomes another domain's.
  const bool changes = last_domain_[spot.core] != domain;
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    const Entry* const running = board_.at(spot.core, i);
    const bool leaves = running == nullptr ? changes : running->task->domain != domain;
    if (leaves && txn.usable(i) && txn.sibling(i).target == Target::kKeep) txn_->Idle(spot.core, i);
  }
  last_domain_[spot.core] = domain;
  txn_->Run(spot.core, spot.sibling, *waiting.task);
}

// Whether the core is, or can be made, one of the task's domain.
Assigner::Fit Assigner::Fits(const Entry& waiting, int core, Yields yields) const {
  const DomainId domain = waiting.task->domain;
  if (kept_for_[core] != DomainId(0) && kept_for_[core] != domain) return Fit::kNo;
  const CoreTransaction& txn = txn_->core(core);
  Fit fit = Fit::kYes;
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    const CoreTransaction::Sibling& sibling = txn.sibling(i);
    if (sibling.target == Target::kRun && sibling.task->domain != domain) return Fit::kNo;
    if (sibling.target != Target::kKeep) continue;
    const Entry* const running = board_.at(core, i);
    if (running == nullptr || running->task->domain == domain) continue;
    if (!txn.usable(i) || !yields(*running, waiting)) return Fit::kNo;
    fit = Fit::kIfOthersLeave;
  }
  return fit;
}

// Other domains have all cores that it may use, or some that do not give way yet. The core that has
// been theirs for longest gets no more of theirs.
void Assigner::Reserve(const Entry& waiting) {
  const DomainId domain = waiting.task->domain;
  int best = -1;
  for (const Spot& spot : spots_) {
    if (!MayUse(waiting, spot) || kept_for_[spot.core] != DomainId(0)) continue;
    const Time free_at = FreeAt(spot.core, domain);
    if (free_at == Time::min()) return;  // it is its own domain that it waits for
    if (best < 0 || free_at < FreeAt(best, domain)) best = spot.core;
  }
  if (best < 0) return;
  kept_for_[best] = domain;
  any_kept_ = true;
}

// When the last task of another domain came to the core; Time::min() if there is none.
Time Assigner::FreeAt(int core, DomainId domain) const {
  Time last = Time::min();
  for (int i = 0; i < txn_->core(core).nr_siblings(); ++i) {
    const Entry* const running = board_.at(core, i);
    if (running != nullptr && running->task->domain != domain)
      last = std::max(last, running->since);
  }
  return last;
}

bool Assigner::MayUse(const Entry& waiting, const Spot& spot) const {
  return waiting.task->affinity.Contains(board_.topology().core(spot.core).cpu[spot.sibling]);
}

Assigner::Spot Assigner::LastSpot(const Task& task) const {
  const int core = board_.topology().CoreOf(task.cpu);
  if (core < 0) return {};
  return {core, board_.topology().core(core).SiblingOf(task.cpu)};
}

// A sibling of the CPU that it ran on has the same caches.
int Assigner::Detour(const Spot& spot, const Spot& last) {
  if (spot.core != last.core) return kDetours - 1;
  return spot.sibling != last.sibling ? 1 : 0;
}

int Assigner::Crowd(int core) const {
  const int siblings = txn_->core(core).nr_siblings();
  int busy = 0;
  for (int i = 0; i < siblings; ++i) busy += !IsIdle(core, i);
  return busy;
}

bool Assigner::IsIdle(int core, int sibling) const {
  const CoreTransaction& txn = txn_->core(core);
  if (!txn.usable(sibling) || txn.sibling(sibling).target == Target::kRun) return false;
  return txn.sibling(sibling).target == Target::kIdle || board_.at(core, sibling) == nullptr;
}

}  // namespace corral::central
