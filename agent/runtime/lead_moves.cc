// SPDX-License-Identifier: Apache-2.0
// Lead, second part: what is promised, and who moves because of that, of its affinity, or of
// others.
#include <algorithm>

#include "agent/runtime/lead.h"
#include "agent/runtime/loop_timing.h"
#include "agent/runtime/status_word.h"

namespace corral {

// The task has a core and the policy does not account for it yet: is it the right one, and what is
// promised there? Also of what was promised before, because its CPUs may not be the same.
void Lead::Settle(uint32_t slot) {
  Place& place = places_[slot];
  if (place.request.budget > Duration(0)) return Promise(slot);
  place.request.granted = Duration(0);
  Rehouse(slot);
  policy_.TaskPlaced(place.request, place.core);
}

void Lead::Promise(uint32_t slot) {
  Place& place = places_[slot];
  place.request.granted = Duration(0);
  CorePromise promise = policy_.Judge(place.request, place.core);
  if (promise.granted == Duration(0)) {
    MakeRoom(place.request);
    promise = policy_.Judge(place.request, place.core);
  }
  Grant(slot, promise);
  if (place.request.granted == Duration(0)) Rehouse(slot);
  policy_.TaskPlaced(place.request, place.core);
}

// Publishes the verdict, and sends the task where it holds. False if the task is gone or asked for
// something else meanwhile; a message will tell.
bool Lead::Grant(uint32_t slot, const CorePromise& promise) {
  Place& place = places_[slot];
  const Verdict verdict = {.granted = promise.granted,
                           .free = promise.free,
                           .place = state_.topology().core(promise.core).id};
  const bool news = !Stands(place.gtid, verdict);
  if (news && !state_.kernel().Grant(place.gtid, verdict).ok()) return false;
  place.request.granted = promise.granted;
  const bool moves = promise.granted > Duration(0) && promise.core != place.core;
  if (moves) Want(slot, promise.core);
  if (news || moves) TellOwner(slot);
  return true;
}

// In the task's status word.
bool Lead::Stands(Gtid task, const Verdict& verdict) const {
  const ghost_status_word word =
      ReadStatusWord(state_.kernel().status_words()[GHOST_GTID_SLOT(task.value())]);
  return Gtid(word.gtid) == task && CoreId(word.place) == verdict.place &&
         word.granted_ns == static_cast<uint64_t>(verdict.granted.count()) &&
         word.free_ns == static_cast<uint64_t>(verdict.free.count());
}

bool Lead::MayUse(const PlacementRequest& request, int core) const {
  return state_.topology().core(core).siblings.Intersects(request.cpus);
}

// One that may not use its core, and has no promise elsewhere, goes to one that it may use, if
// there is any.
void Lead::Rehouse(uint32_t slot) {
  const Place& place = places_[slot];
  if (MayUse(place.request, place.core)) return;
  const int core = policy_.PlaceTask(place.request);
  if (core < 0 || core >= state_.topology().nr_cores() || !MayUse(place.request, core)) return;
  Want(slot, core);
  TellOwner(slot);
}

void Lead::Want(uint32_t slot, int core) {
  places_[slot].core = core;
  state_.tasks().SetWanted(slot, core);
}

// Something is new about the task, perhaps where it is to be.
void Lead::TellOwner(uint32_t slot) {
  // Only now: the owner may have given it away, and whoever has it is to know what is wanted.
  const int owner = state_.tasks().owner(slot);
  if (owner != TaskTable::kNobody) state_.Post(state_.lead(), owner, slot);
}

// Promises are kept elsewhere from now on, so that one more fits.
void Lead::MakeRoom(const PlacementRequest& request) {
  const std::vector<TaskMove> moves = policy_.MakeRoom(request);
  // All leave before any comes, so that no core has too much in between.
  for (const TaskMove& move : moves)
    policy_.TaskUnplaced(places_[move.slot].request, places_[move.slot].core);
  for (const TaskMove& move : moves) {
    const PlacementRequest& moved = places_[move.slot].request;
    Grant(move.slot, {.core = move.core, .granted = moved.granted});
    policy_.TaskPlaced(moved, places_[move.slot].core);
  }
}

void Lead::JudgeAgain() {
  if (!judge_again_) return;
  judge_again_ = false;
  for (uint32_t slot = 0; slot < places_.size(); ++slot) {
    Place& place = places_[slot];
    const PlacementRequest& request = place.request;
    if (place.core < 0 || request.budget == Duration(0) || request.granted > Duration(0)) continue;
    policy_.TaskUnplaced(request, place.core);
    Promise(slot);
  }
}

// A task was to be there, and is elsewhere.
void Lead::Shun(int core) { shunned_until_[core] = state_.kernel().Now() + loop_timing::kShunned; }

void Lead::Spread(Time now) {
  const auto open = [&](int core) { return now >= shunned_until_[core]; };
  if (now >= policy_.NextRebalance()) Move(policy_.Rebalance(now, open));
  if (changed_) {
    changed_ = false;
    spread_at_ = std::min(spread_at_, now + loop_timing::kSpread);
  }
  if (now < spread_at_) return;
  const std::vector<TaskMove> moves = policy_.Spread(open);
  spread_at_ = moves.empty() ? Time::max() : now + loop_timing::kSpread;
  for (const Time until : shunned_until_) {
    if (until > now) spread_at_ = std::min(spread_at_, until);
  }
  Move(moves);
}

void Lead::Move(const std::vector<TaskMove>& moves) {
  for (const TaskMove& move : moves) {
    Place& place = places_[move.slot];
    policy_.TaskUnplaced(place.request, place.core);
    Want(move.slot, move.core);
    policy_.TaskPlaced(place.request, place.core);
    TellOwner(move.slot);
  }
}

}  // namespace corral
