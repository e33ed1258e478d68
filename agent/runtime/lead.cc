// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/lead.h"

#include <algorithm>

#include "agent/runtime/status_word.h"

namespace corral {
namespace {

bool AskTheSame(const PlacementRequest& a, const PlacementRequest& b) {
  return a.domain == b.domain && a.budget == b.budget && a.period == b.period && a.cpus == b.cpus &&
         a.node == b.node;
}

}  // namespace

// A promise holds on the core that made it.
PlacementRequest Lead::RequestOf(uint32_t slot, const ghost_status_word& word, int core) const {
  const bool here = core >= 0 && CoreId(word.place) == state_.topology().core(core).id;
  return {.domain = DomainId(word.domain),
          .slot = slot,
          .vcpu = word.vcpu,
          .budget = FromNs(word.budget_ns),
          .period = FromNs(word.period_ns),
          .granted = here ? FromNs(word.granted_ns) : Duration(0),
          .cpus = CpusOf(slot),
          .node = word.node == GHOST_NO_NODE ? -1 : static_cast<int>(word.node)};
}

CpuSet Lead::CpusOf(uint32_t slot) const {
  const absl::Span<const ghost_affinity> affinities = state_.kernel().affinities();
  return slot < affinities.size() ? ReadAffinity(affinities[slot]) & online_ : CpuSet();
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
  const bool visits = word.offer > GHOST_OFFER_CORE;
  if ((word.flags & GHOST_SW_ONCPU) && !visits) core = state_.topology().CoreOf(CpuId(word.cpu));
  if (core < 0 && word.queue != GHOST_QUEUE_DEFAULT) core = state_.CoreOfQueue(word.queue);
  if (core < 0) core = policy_.PlaceTask(RequestOf(slot, word, -1));
  return std::clamp(core, 0, state_.topology().nr_cores() - 1);
}

// Core -1: nowhere.
void Lead::Account(uint32_t slot, int core, const ghost_status_word& word) {
  Place& place = places_[slot];
  const PlacementRequest request = RequestOf(slot, word, core);
  // What was asked for may be the same again after something else was.
  const bool unanswered = request.budget > Duration(0) && word.place == GHOST_NO_CORE;
  const bool same = AskTheSame(place.request, request) && !place.judge && !unanswered;
  if (place.core == core && (core < 0 || same)) return;
  const int former = place.core;
  const bool promised = place.request.granted > Duration(0);
  if (former >= 0) {
    policy_.TaskUnplaced(place.request, former);
    if (core >= 0 && core != former) Shun(former);
  }
  changed_ = true;
  place.core = core;
  place.request = request;
  place.judge = false;
  place.gtid = Gtid(word.gtid);
  if (core >= 0) Settle(slot);
  const bool frees = place.core != former || place.request.granted == Duration(0);
  judge_again_ |= former >= 0 && promised && frees;
}

CpuSet Lead::OnlineNow() const {
  const Topology& topology = state_.topology();
  CpuSet online;
  for (int c = 0; c < topology.nr_cores(); ++c) {
    const uint32_t siblings = state_.OnlineSiblings(c);
    for (int i = 0; i < topology.core(c).nr_cpus; ++i) {
      if ((siblings >> i) & 1) online.Insert(topology.core(c).cpu[i]);
    }
  }
  return online;
}

void Lead::Consider(uint32_t slot, Gtid announced) {
  Update(slot, announced);
  // It may be that the CPUs of its core are what is new. That concerns others as well.
  const int core = slot < places_.size() ? places_[slot].core : -1;
  if (core < 0) return;
  if (state_.OnlineSiblings(core) != state_.topology().core(core).SiblingsIn(online_)) Discover();
}

void Lead::Update(uint32_t slot, Gtid announced) {
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

// For all before any is judged, so that nobody makes room by going to a CPU that is not there.
void Lead::TakeUpCpus() {
  online_ = OnlineNow();
  for (uint32_t slot = 0; slot < places_.size(); ++slot) {
    Place& place = places_[slot];
    if (place.core < 0) continue;
    const CpuSet cpus = CpusOf(slot);
    if (cpus == place.request.cpus) continue;
    policy_.TaskUnplaced(place.request, place.core);
    place.request.cpus = cpus;
    place.judge = true;
    policy_.TaskPlaced(place.request, place.core);
  }
}

// Promises that were given come first, those that can stay where they are before others: nobody
// else may take their room.
void Lead::Discover() {
  TakeUpCpus();
  const absl::Span<const ghost_status_word> words = state_.kernel().status_words();
  const auto size = static_cast<uint32_t>(std::min(places_.size(), words.size()));
  const auto promised = [&](uint32_t slot) {
    return __atomic_load_n(&words[slot].granted_ns, __ATOMIC_RELAXED) != 0;
  };
  const auto stays = [&](uint32_t slot) {
    return places_[slot].core < 0 || MayUse(places_[slot].request, places_[slot].core);
  };
  for (uint32_t slot = 0; slot < size; ++slot) {
    if (promised(slot) && stays(slot)) Update(slot, Gtid(0));
  }
  for (uint32_t slot = 0; slot < size; ++slot) {
    if (promised(slot)) Update(slot, Gtid(0));
  }
  for (uint32_t slot = 0; slot < size; ++slot) Update(slot, Gtid(0));
}

void Lead::SelfCheck(LoopCounters& counters) {
  if (OnlineNow() != online_) Discover();
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
      Update(slot, Gtid(0));
    }
  }
}

}  // namespace corral
