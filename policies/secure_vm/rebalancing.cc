// SPDX-License-Identifier: Apache-2.0
// Rebalancing, first part: who had what.
#include "policies/secure_vm/rebalancing.h"

#include <algorithm>
#include <utility>

namespace corral::secure_vm {
namespace {

// In turns, what is forgotten of a lag.
constexpr double kMostLag = 10;
// By so much more must be of use than there is, until weights make a difference.
constexpr double kNoise = 0.02;
// Looks at which there was enough for all, until the lead looks no more.
constexpr int kQuiet = 5;
// Who had less than all that it can use cannot make good for it: so much is kept at each look.
constexpr double kKept = 0.95;
// One that was awake at one of so many looks counts as awake: who sleeps now and then needs a
// place.
constexpr uint64_t kLately = 10;
// What a core's promises take is averaged over about so many looks.
constexpr double kMemory = 10;
// As many moves as one look may make in a node.
constexpr int kMoves = 4;

double Ns(Duration time) { return static_cast<double>(time.count()); }

}  // namespace

Rebalancing::Rebalancing(const Topology& topology, Duration tenure, uint32_t nr_slots,
                         Ledger& ledger)
    : topology_(topology),
      tenure_(static_cast<double>(tenure.count())),
      ledger_(ledger),
      nodes_(topology.nr_nodes()),
      seen_(nr_slots),
      places_(topology.nr_cores()),
      look_(kLately) {
  for (int c = 0; c < topology.nr_cores(); ++c) {
    Node& node = nodes_[topology.core(c).node];
    node.cores.push_back(c);
    node.siblings = std::max(node.siblings, topology.core(c).nr_cpus);
  }
}

Rebalancing::Domain& Rebalancing::DomainOf(Node& node, DomainId id) {
  const auto at = std::lower_bound(node.domains.begin(), node.domains.end(), id,
                                   [](const Domain& d, DomainId other) { return d.id < other; });
  if (at != node.domains.end() && at->id == id) return *at;
  return *node.domains.insert(at, Domain{.id = id});
}

void Rebalancing::Add(const PlacementRequest& vcpu, int core) {
  const Core& place = topology_.core(core);
  if (place.SiblingsIn(vcpu.cpus) == 0) return;
  Ledger::Entry& entry = ledger_.of(vcpu.slot);
  if (!ledger_.watched()) entry.part.store(1, std::memory_order_relaxed);
  // One that moves has not told yet what was seen ahead of time.
  Seen& seen = seen_[vcpu.slot];
  if (seen.look != look_) {
    seen.had = Duration(entry.had.load(std::memory_order_relaxed));
    seen.wanted = Duration(entry.wanted.load(std::memory_order_relaxed));
  }
  places_[core].members.push_back({.slot = vcpu.slot,
                                   .domain = vcpu.domain,
                                   .stays = vcpu.granted > Duration(0),
                                   .cpus = vcpu.cpus});
  ++DomainOf(nodes_[place.node], vcpu.domain).members;
}

void Rebalancing::Remove(const PlacementRequest& vcpu, int core) {
  std::vector<Member>& members = places_[core].members;
  const auto it = std::find_if(members.begin(), members.end(),
                               [&](const Member& m) { return m.slot == vcpu.slot; });
  if (it == members.end()) return;
  --DomainOf(nodes_[topology_.core(core).node], it->domain).members;
  members.erase(it);
}

std::vector<TaskMove> Rebalancing::Moves(Time now, PerCorePolicy::Open open) {
  std::vector<TaskMove> moves;
  const bool first = looked_ == Time();
  const Duration since = first ? Duration(0) : now - looked_;
  bool contended = false;
  ++look_;
  for (Node& node : nodes_) {
    if (node.cores.size() < 2) continue;
    if (first) node.quiet = 0;
    Look(node, now, since, open, moves);
    node.contended = node.quiet <= kQuiet;
    contended |= node.contended;
  }
  ledger_.SetWatched(contended);
  looked_ = contended ? now : Time();
  next_ = contended ? now + Duration(static_cast<int64_t>(tenure_)) : Time();
  return moves;
}

void Rebalancing::Look(Node& node, Time now, Duration since, PerCorePolicy::Open open,
                       std::vector<TaskMove>& moves) {
  Read(node, now, since);
  if (since > Duration(0) && !MeasureLags(node, since) && ++node.quiet > kQuiet)
    return Forget(node);
  Weigh(node);
  TellParts(node);
  for (int made = 0; made < kMoves;) {
    const int from = Neediest(node);
    if (from < 0) return;
    places_[from].looked_at = true;
    const Step step = Best(node, from, open);
    if (step.nr == 0) continue;
    Carry(node, step, moves);
    ++made;
  }
}

// At the first look, since 0, all that was had before is let be.
void Rebalancing::Read(Node& node, Time now, Duration since) {
  const auto gone = [](const Domain& domain) { return domain.members == 0; };
  node.domains.erase(std::remove_if(node.domains.begin(), node.domains.end(), gone),
                     node.domains.end());
  for (Domain& domain : node.domains)
    domain = {.id = domain.id, .members = domain.members, .lag = domain.lag};
  for (const int core : node.cores) {
    Place& place = places_[core];
    const int64_t promised = ledger_.core(core).promised.load(std::memory_order_relaxed);
    if (since > Duration(0)) {
      const double kept =
          static_cast<double>(promised - place.seen_promised) / static_cast<double>(since.count());
      place.free += (1 - std::min(kept, 1.0) - place.free) / kMemory;
    }
    place.seen_promised = promised;
    place.looked_at = place.moved = false;
    ReadMembers(node, core);
    ReadOn(node, core, now);
  }
}

void Rebalancing::ReadMembers(Node& node, int core) {
  Place& place = places_[core];
  place.gangs.clear();
  for (Member& member : place.members) {
    const Ledger::Entry& entry = ledger_.of(member.slot);
    Domain& domain = DomainOf(node, member.domain);
    const double weight = entry.weight.load(std::memory_order_relaxed);
    domain.weight = std::max(domain.weight, weight);
    Seen& seen = seen_[member.slot];
    const Duration had(entry.had.load(std::memory_order_relaxed));
    const Duration wanted(entry.wanted.load(std::memory_order_relaxed));
    domain.had += Ns(had - std::exchange(seen.had, had));
    domain.wanted += Ns(wanted - std::exchange(seen.wanted, wanted));
    seen.look = look_;
    member.awake_now = entry.awake.load(std::memory_order_relaxed);
    if (member.awake_now) member.awake_at = look_;
    member.awake = look_ < member.awake_at + kLately;
    if (!member.awake) continue;
    ++domain.awake;
    const auto index = static_cast<size_t>(&domain - node.domains.data());
    auto gang = std::find_if(place.gangs.begin(), place.gangs.end(),
                             [&](const Gang& g) { return g.domain == index; });
    if (gang == place.gangs.end())
      gang = place.gangs.insert(gang, Gang{.domain = index, .slot = member.slot});
    ++gang->awake;
    gang->awake_now += member.awake_now;
  }
}

// What the core has not told yet: things are as they were. It is seen ahead of time.
void Rebalancing::ReadOn(Node& node, int core, Time now) {
  const Ledger::PerCore& news = ledger_.core(core);
  const uint32_t holder = news.holder.load(std::memory_order_relaxed);
  const Time told = news.told.load(std::memory_order_relaxed);
  if (now <= told) return;
  const Time free = std::clamp(news.free.load(std::memory_order_relaxed), told, now);
  const auto add = [&](uint32_t slot, Domain& domain, Duration had, Duration wanted) {
    seen_[slot].had += had;
    seen_[slot].wanted += wanted;
    domain.had += Ns(had);
    domain.wanted += Ns(wanted);
  };
  for (const Gang& gang : places_[core].gangs) {
    add(gang.slot, node.domains[gang.domain], Duration(0),
        (now - told) * Limit(node, gang.awake_now));
  }
  for (const Member& member : places_[core].members) {
    if (member.slot == holder && member.awake_now)
      add(member.slot, DomainOf(node, member.domain), now - free, told - free);
  }
}

// Whether there was less than all could use.
bool Rebalancing::MeasureLags(Node& node, Duration since) {
  const auto time = static_cast<double>(since.count());
  double had = 0, useful = 0, room = 0, lags = 0, shares = 0;
  for (const int core : node.cores) room += places_[core].free * time;
  glasses_.clear();
  for (const Domain& domain : node.domains) {
    const double limit = std::clamp(domain.wanted, 0.0, Limit(node, domain.members) * time);
    glasses_.push_back({.weight = domain.weight, .limit = limit});
    had += domain.had;
    useful += limit;
  }
  Pour(had, absl::MakeSpan(glasses_));
  const double most = kMostLag * tenure_;
  for (size_t i = 0; i < node.domains.size(); ++i) {
    Domain& domain = node.domains[i];
    domain.lag += glasses_[i].share - domain.had;
    if (domain.wanted <= 0) domain.lag = 0;
    if (Full(glasses_[i])) {
      domain.lag = std::clamp(kKept * domain.lag, -tenure_, tenure_);
    } else {
      domain.lag = std::clamp(domain.lag, -most, most);
      lags += domain.lag;
      shares += glasses_[i].share;
    }
  }
  // What is forgotten of one is not the others' due, or debt.
  for (size_t i = 0; i < node.domains.size() && shares > 0; ++i) {
    if (!Full(glasses_[i])) node.domains[i].lag -= lags * glasses_[i].share / shares;
  }
  if (useful <= (1 + kNoise) * room) return false;
  node.quiet = 0;
  return true;
}

// There is enough for all: weights make no difference, and nobody lags.
void Rebalancing::Forget(Node& node) {
  for (Domain& domain : node.domains) domain.lag = 0;
  for (const int core : node.cores) {
    for (const Member& member : places_[core].members)
      ledger_.of(member.slot).part.store(1, std::memory_order_relaxed);
  }
}

}  // namespace corral::secure_vm
