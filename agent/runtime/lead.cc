// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/lead.h"

#include <algorithm>

#include "agent/runtime/status_word.h"

namespace corral {
namespace {

PlacementRequest RequestOf(const ghost_status_word& word) {
  return {.domain = DomainId(word.domain),
          .vcpu = word.vcpu,
          .budget = Duration(static_cast<int64_t>(word.budget_ns)),
          .period = Duration(static_cast<int64_t>(word.period_ns))};
}

}  // namespace

bool Lead::IsOrphan(uint32_t slot, const ghost_status_word& word) const {
  const bool announced = (word.flags & GHOST_SW_ANNOUNCED) ||
                         (word.gtid != 0 && places_[slot].announced == Gtid(word.gtid));
  return announced && (word.flags & GHOST_SW_INUSE) &&
         word.enclave == state_.kernel().enclave_id().value() &&
         state_.tasks().owner(slot) == TaskTable::kNobody;
}

// A running task stays where it runs and an associated one where its messages go, so a takeover
// moves nothing.
int Lead::Choose(const ghost_status_word& word, const PlacementRequest& request) {
  int core = -1;
  if (word.flags & GHOST_SW_ONCPU) core = state_.topology().CoreOf(CpuId(word.cpu));
  if (core < 0 && word.queue != GHOST_QUEUE_DEFAULT) core = state_.CoreOfQueue(word.queue);
  if (core < 0) core = policy_.PlaceTask(request);
  return std::clamp(core, 0, state_.topology().nr_cores() - 1);
}

void Lead::Account(Place& place, int core, const PlacementRequest& request) {
  if (place.core == core && place.request.domain == request.domain) return;
  if (place.core >= 0) policy_.TaskUnplaced(place.request, place.core);
  place.core = core;
  place.request = request;
  if (core >= 0) policy_.TaskPlaced(request, core);
}

void Lead::Consider(uint32_t slot, Gtid announced) {
  const absl::Span<const ghost_status_word> words = state_.kernel().status_words();
  if (slot >= places_.size() || slot >= words.size()) return;
  Place& place = places_[slot];
  if (announced.value() != 0) place.announced = announced;
  const int owner = state_.tasks().owner(slot);
  const ghost_status_word word = ReadStatusWord(words[slot]);
  if (owner != TaskTable::kNobody) {
    Account(place, owner, word.flags & GHOST_SW_INUSE ? RequestOf(word) : place.request);
    // The owner will find its former task gone, let go of the slot, and tell us.
    if (announced.value() != 0) state_.Post(state_.lead(), owner, slot);
    return;
  }
  Account(place, -1, place.request);
  if (!IsOrphan(slot, word)) return;
  const PlacementRequest request = RequestOf(word);
  const int core = Choose(word, request);
  Account(place, core, request);
  place.announced = Gtid(0);
  place.orphan = 0;
  state_.tasks().SetOwner(slot, core);
  state_.Post(state_.lead(), core, slot);
}

void Lead::Discover() {
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
