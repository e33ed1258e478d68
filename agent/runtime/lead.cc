// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/lead.h"

#include <algorithm>

#include "agent/runtime/loop_timing.h"
#include "agent/runtime/status_word.h"

namespace corral {

// A promise holds on the core that made it.
PlacementRequest Lead::RequestOf(uint32_t slot, const ghost_status_word& word, int core) const {
  const auto ns = [](uint64_t value) { return Duration(static_cast<int64_t>(value)); };
  const bool here = core >= 0 && CoreId(word.place) == state_.topology().core(core).id;
  return {.domain = DomainId(word.domain),
          .slot = slot,
          .vcpu = word.vcpu,
          .budget = ns(word.budget_ns),
          .period = ns(word.period_ns),
          .granted = here ? ns(word.granted_ns) : Duration(0)};
}

bool Lead::IsOrphan(uint32_t slot, const ghost_status_word& word) const {
  const bool announced = (word.flags & GHOST_SW_ANNOUNCED) ||
                         (word.gtid != 0 && places_[slot].announced == Gtid(word.gtid));
  return announced && (word.flags & GHOST_SW_INUSE) &&
         word.enclave == state_.kernel().enclave_id().value() &&
         state_.tasks().owner(slot) == TaskTable::kNobody;
}

// A running task stays where it runs and an associated one where its messages go, so a takeover
// moves nothing.
int Lead::Choose(uint32_t slot, const ghost_status_word& word) {
  int core = -1;
  if (word.flags & GHOST_SW_ONCPU) core = state_.topology().CoreOf(CpuId(word.cpu));
  if (core < 0 && word.queue != GHOST_QUEUE_DEFAULT) core = state_.CoreOfQueue(word.queue);
  if (core < 0) core = policy_.PlaceTask(RequestOf(slot, word, -1));
  return std::clamp(core, 0, state_.topology().nr_cores() - 1);
}

// Core -1: nowhere.
void Lead::Account(uint32_t slot, int core, const ghost_status_word& word) {
  Place& place = places_[slot];
  const PlacementRequest request = RequestOf(slot, word, core);
  const PlacementRequest& known = place.request;
  if (place.core == core &&
      (core < 0 || (known.domain == request.domain && known.budget == request.budget &&
                    known.period == request.period))) {
    return;
  }
  if (place.core >= 0) {
    policy_.TaskUnplaced(place.request, place.core);
    judge_again_ = true;
    if (core >= 0 && core != place.core) Shun(place.core);
  }
  changed_ = true;
  place.core = core;
  place.request = request;
  place.gtid = Gtid(word.gtid);
  if (core < 0) return;
  if (request.budget > Duration(0) && request.granted == Duration(0)) {
    Promise(slot);
  } else {
    policy_.TaskPlaced(place.request, place.core);
  }
}

// The task has a core, but the policy does not account for it yet.
void Lead::Promise(uint32_t slot) {
  const Place& place = places_[slot];
  CorePromise promise = policy_.Judge(place.request, place.core);
  if (promise.granted == Duration(0)) {
    MakeRoom(place.request);
    promise = policy_.Judge(place.request, place.core);
  }
  Grant(slot, promise);
  policy_.TaskPlaced(place.request, place.core);
}

// Publishes the verdict, and sends the task where it holds. False if the task is gone or asked for
// something else meanwhile; a message will tell.
bool Lead::Grant(uint32_t slot, const CorePromise& promise) {
  Place& place = places_[slot];
  const Verdict verdict = {.granted = promise.granted,
                           .free = promise.free,
                           .place = state_.topology().core(promise.core).id};
  if (!state_.kernel().Grant(place.gtid, verdict).ok()) return false;
  place.request.granted = promise.granted;
  if (promise.granted > Duration(0) && promise.core != place.core) Want(slot, promise.core);
  TellOwner(slot);
  return true;
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

// On some CPU of the core.
bool Lead::MayRun(uint32_t slot, int core) const {
  const absl::Span<const ghost_affinity> affinities = state_.kernel().affinities();
  if (slot >= affinities.size()) return false;
  bool may = false;
  state_.topology().core(core).siblings.ForEach([&](CpuId cpu) {
    const auto id = static_cast<unsigned>(cpu.value());
    may |= (affinities[slot].cpus[id / 64] >> (id % 64)) & 1;
  });
  return may;
}

void Lead::Spread(Time now) {
  if (changed_) {
    changed_ = false;
    spread_at_ = std::min(spread_at_, now + loop_timing::kSpread);
  }
  if (now < spread_at_) return;
  const std::vector<TaskMove> moves = policy_.Spread(
      [&](uint32_t slot, int core) { return now >= shunned_until_[core] && MayRun(slot, core); });
  spread_at_ = moves.empty() ? Time::max() : now + loop_timing::kSpread;
  for (const Time until : shunned_until_) {
    if (until > now) spread_at_ = std::min(spread_at_, until);
  }
  for (const TaskMove& move : moves) {
    Place& place = places_[move.slot];
    policy_.TaskUnplaced(place.request, place.core);
    Want(move.slot, move.core);
    policy_.TaskPlaced(place.request, place.core);
    TellOwner(move.slot);
  }
}

void Lead::Consider(uint32_t slot, Gtid announced) {
  const absl::Span<const ghost_status_word> words = state_.kernel().status_words();
  if (slot >= places_.size() || slot >= words.size()) return;
  Place& place = places_[slot];
  if (announced.value() != 0) place.announced = announced;
  // In this order: whoever gives a task away makes it another's first, and then nobody wants it.
  const int wanted = state_.tasks().wanted(slot);
  const int owner = state_.tasks().owner(slot);
  const ghost_status_word word = ReadStatusWord(words[slot]);
  if (owner != TaskTable::kNobody) {
    if (word.flags & GHOST_SW_INUSE)
      Account(slot, wanted == TaskTable::kNobody ? owner : wanted, word);
    // The owner will find its former task gone, let go of the slot, and tell us.
    if (announced.value() != 0) state_.Post(state_.lead(), owner, slot);
    return;
  }
  Account(slot, -1, word);
  if (!IsOrphan(slot, word)) return;
  Account(slot, Choose(slot, word), word);
  place.announced = Gtid(0);
  place.orphan = 0;
  // It goes there at once, and what was wanted of the slot's last task is over.
  state_.tasks().SetWanted(slot, TaskTable::kNobody);
  state_.tasks().SetOwner(slot, place.core);
  state_.Post(state_.lead(), place.core, slot);
}

// Promises that were given come first: nobody else may take their room.
void Lead::Discover() {
  const absl::Span<const ghost_status_word> words = state_.kernel().status_words();
  for (uint32_t slot = 0; slot < places_.size() && slot < words.size(); ++slot) {
    if (__atomic_load_n(&words[slot].granted_ns, __ATOMIC_RELAXED) != 0) Consider(slot);
  }
  for (uint32_t slot = 0; slot < places_.size(); ++slot) Consider(slot);
}

void Lead::SelfCheck(LoopCounters& counters) {
  const absl::Span<const ghost_status_word> words = state_.kernel().status_words();
  for (uint32_t slot = 0; slot < places_.size() && slot < words.size(); ++slot) {
    if (state_.tasks().owner(slot) != TaskTable::kNobody) continue;
    if (__atomic_load_n(&words[slot].flags, __ATOMIC_RELAXED) == 0) continue;
    const ghost_status_word word = ReadStatusWord(words[slot]);
    if (!IsOrphan(slot, word)) {
      places_[slot].orphan = 0;
    } else if (places_[slot].orphan != word.gtid) {
      places_[slot].orphan = word.gtid;
    } else {
      ++counters.repairs;
      Consider(slot);
    }
  }
}

}  // namespace corral
