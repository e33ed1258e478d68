// SPDX-License-Identifier: Apache-2.0
// Rebalancing, second part: parts of weights, and moves.
#include <algorithm>

#include "policies/secure_vm/rebalancing.h"

namespace corral::secure_vm {
namespace {

// How far ahead a move is thought, and what it has to take from the squares of lags: in turns.
constexpr double kAhead = 3;
constexpr double kFullAhead = 50;
constexpr double kFull = 0.999;
constexpr double kWorth = 2.5;
// Over so many turns a lag is made good by parts, which change by no more than so much.
constexpr double kCatchUp = 8;
constexpr double kMostBias = 0.35;
// Who lags by less than that, in turns, needs no move.
constexpr double kNeed = 0.5;

}  // namespace

// One that is crowded wants more than a core.
double Rebalancing::Width(const Node& node, int awake) const {
  return awake == 0 ? 0 : std::max(1.0, static_cast<double>(awake) / node.siblings);
}

// Who should have nearly all that it can use makes good slowly for what it lacks, or never.
double Rebalancing::Ahead(const Domain& domain) const {
  return (domain.fair >= kFull * domain.limit ? kFullAhead : kAhead) * tenure_;
}

// What it will lag a few turns from now, if nothing moves.
double Rebalancing::Error(const Domain& domain) const {
  return domain.lag + (domain.fair - domain.rate) * Ahead(domain);
}

int Rebalancing::AwakeOf(const Place& place, size_t domain) {
  for (const Gang& gang : place.gangs) {
    if (gang.domain == domain) return gang.awake;
  }
  return 0;
}

// What each gang counts on its core, and what each domain has by that.
void Rebalancing::Weigh(Node& node) {
  double time = 0;
  for (Domain& domain : node.domains) domain.width = domain.gangs = domain.rate = 0;
  for (const int core : node.cores) {
    time += places_[core].free;
    for (const Gang& gang : places_[core].gangs) {
      node.domains[gang.domain].width += Width(node, gang.awake);
      ++node.domains[gang.domain].gangs;
    }
  }
  glasses_.clear();
  for (const Domain& domain : node.domains)
    glasses_.push_back(
        {.weight = domain.weight, .limit = static_cast<double>(Limit(node, domain.awake))});
  Pour(time, absl::MakeSpan(glasses_));
  for (size_t i = 0; i < node.domains.size(); ++i) {
    Domain& domain = node.domains[i];
    domain.fair = glasses_[i].share;
    domain.limit = glasses_[i].limit;
    const double rate = std::max(domain.fair, 0.01) * kCatchUp * tenure_;
    domain.bias = std::clamp(domain.lag / rate, -kMostBias, kMostBias);
  }
  for (const int core : node.cores) {
    Place& place = places_[core];
    place.shares = 0;
    for (Gang& gang : place.gangs) {
      gang.share = node.domains[gang.domain].unit() * Width(node, gang.awake);
      place.shares += gang.share;
    }
    for (const Gang& gang : place.gangs)
      node.domains[gang.domain].rate += place.free * gang.share / place.shares;
  }
}

void Rebalancing::TellParts(Node& node) {
  for (const int core : node.cores) {
    const Place& place = places_[core];
    for (const Member& member : place.members) {
      const Domain& domain = DomainOf(node, member.domain);
      const auto index = static_cast<size_t>(&domain - node.domains.data());
      const double width = Width(node, std::max(AwakeOf(place, index), 1));
      const double part = (1 + domain.bias) * width / std::max(domain.width, width);
      ledger_.of(member.slot).part.store(static_cast<float>(part), std::memory_order_relaxed);
    }
  }
}

// Of the cores that nothing can leave or come to but by a move that is not thought about yet, the
// one with the domain that lags most.
int Rebalancing::Neediest(const Node& node) const {
  int neediest = -1;
  double most = kNeed * tenure_;
  for (const int core : node.cores) {
    const Place& place = places_[core];
    if (place.looked_at || place.moved) continue;
    for (const Gang& gang : place.gangs) {
      const double error = Error(node.domains[gang.domain]);
      if (error <= most) continue;
      most = error;
      neediest = core;
    }
  }
  return neediest;
}

Rebalancing::Step Rebalancing::Best(Node& node, int from, PerCorePolicy::Open open) {
  Step best = {.gain = kWorth * tenure_ * tenure_};
  for (const Gang& gang : places_[from].gangs) {
    if (node.domains[gang.domain].moved) continue;
    for (const int to : node.cores) {
      if (to == from || places_[to].moved || !open(to)) continue;
      for (const int nr : {gang.awake, Spare(node, gang, to)}) {
        if (nr == 0) continue;
        Step step = {.from = from, .to = to, .domain = gang.domain, .nr = nr};
        step.gain = Gain(node, step);
        if (step.gain > best.gain && May(node, step)) best = step;
      }
    }
  }
  return best;
}

// How many of a crowded gang there are siblings for on another core, without breaking it up into
// more gangs than it must have.
int Rebalancing::Spare(const Node& node, const Gang& gang, int to) const {
  const Domain& domain = node.domains[gang.domain];
  const int there = AwakeOf(places_[to], gang.domain);
  if (there == 0 && domain.gangs >= Limit(node, domain.awake)) return 0;
  return std::clamp(gang.awake - node.siblings, 0, std::max(node.siblings - there, 0));
}

// Of the squares of what domains will lag.
double Rebalancing::Gain(Node& node, const Step& step) {
  AddChanges(node, places_[step.from], step.domain, -step.nr);
  AddChanges(node, places_[step.to], step.domain, step.nr);
  double gain = 0;
  const auto count = [&](Domain& domain) {
    const double before = Error(domain);
    const double after = before - domain.change * Ahead(domain);
    domain.change = 0;  // counts once, if it is on both cores
    gain += before * before - after * after;
  };
  for (const int core : {step.from, step.to}) {
    for (const Gang& gang : places_[core].gangs) count(node.domains[gang.domain]);
  }
  return gain;
}

// What it makes of rates that the domain has so many more vCPUs on the core.
void Rebalancing::AddChanges(Node& node, const Place& place, size_t domain, int more) {
  const int before = AwakeOf(place, domain);
  const double unit = node.domains[domain].unit();
  const double share = unit * Width(node, before), other = unit * Width(node, before + more);
  const double shares = place.shares - share + other;
  const auto rate = [&](double part, double of) { return of <= 0 ? 0 : place.free * part / of; };
  for (const Gang& gang : place.gangs) {
    if (gang.domain == domain) continue;
    node.domains[gang.domain].change += rate(gang.share, shares) - rate(gang.share, place.shares);
  }
  // Alone it has nothing to share: what rounding leaves must not divide.
  const bool last = before + more == 0;
  node.domains[domain].change += (last ? 0 : rate(other, shares)) - rate(share, place.shares);
}

// Whether there are so many that may go there, or all of them if all are to go.
bool Rebalancing::May(const Node& node, const Step& step) const {
  const Place& from = places_[step.from];
  const DomainId id = node.domains[step.domain].id;
  const bool all = step.nr == AwakeOf(from, step.domain);
  int nr = 0;
  for (const Member& member : from.members) {
    if (member.domain != id) continue;
    const bool may = !member.stays && topology_.core(step.to).SiblingsIn(member.cpus) != 0;
    if (all && !may) return false;
    nr += may && member.awake;
  }
  return nr >= step.nr;
}

void Rebalancing::Carry(Node& node, const Step& step, std::vector<TaskMove>& moves) {
  Place& from = places_[step.from];
  Place& to = places_[step.to];
  const DomainId id = node.domains[step.domain].id;
  const bool all = step.nr == AwakeOf(from, step.domain);
  int left = step.nr;
  for (const Member& member : from.members) {
    if (member.domain != id || (!all && (left == 0 || !member.awake))) continue;
    if (member.stays || topology_.core(step.to).SiblingsIn(member.cpus) == 0) continue;
    moves.push_back({.slot = member.slot, .core = step.to});
    left -= member.awake;
  }
  const auto of_domain = [&](const Gang& gang) { return gang.domain == step.domain; };
  const auto there = std::find_if(to.gangs.begin(), to.gangs.end(), of_domain);
  if (there != to.gangs.end()) {
    there->awake += step.nr;
  } else {
    to.gangs.push_back({.domain = step.domain, .awake = step.nr});
  }
  const auto here = std::find_if(from.gangs.begin(), from.gangs.end(), of_domain);
  here->awake -= step.nr;
  if (here->awake == 0) from.gangs.erase(here);
  from.moved = to.moved = node.domains[step.domain].moved = true;
  Weigh(node);
}

}  // namespace corral::secure_vm
