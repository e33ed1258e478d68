// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/spin_place.h"

#include <tuple>

#include "agent/runtime/loop_timing.h"

namespace corral {

using namespace loop_timing;

SpinPlace::SpinPlace(const CpuSet& cpus, const Topology& topology, Duration longest_stay)
    : longest_stay_(longest_stay) {
  cpus.ForEach([&](CpuId cpu) {
    const int core = topology.CoreOf(cpu);
    candidates_.push_back({.cpu = cpu, .l3 = core < 0 ? -1 : topology.core(core).l3});
  });
}

bool SpinPlace::Choose(Time now, Look look) {
  const bool nowhere = at_ < 0 || now < candidates_[at_].refused_until;
  const Use here = nowhere ? Use{.online = false} : look(cpu_);
  const bool wanted = here.by_host || here.needed;
  const bool too_long = now - since_ >= longest_stay_;
  if (here.online && !wanted && !too_long) return false;
  const int best = Best(now, look);
  if (best < 0) return false;
  const Use there = look(candidates_[best].cpu);
  const bool no_better = there.by_host || there.needed;
  if (here.online && now - since_ < (no_better ? kSharedStay : kLeastStay)) return false;
  Go(best, now);
  return true;
}

// Of the CPUs but the present one, or -1.
int SpinPlace::Best(Time now, Look look) const {
  const int l3 = at_ < 0 ? -1 : candidates_[at_].l3;
  const auto rank = [&](int i) {
    const Candidate& c = candidates_[i];
    const Use use = look(c.cpu);
    // Where it is in somebody's way in any case, the CPUs take turns.
    if (use.by_host || use.needed) return std::tuple(true, false, false, false, c.left);
    return std::tuple(false, use.by_task, use.beside, l3 >= 0 && c.l3 != l3, c.left);
  };
  int best = -1;
  for (int i = 0; i < static_cast<int>(candidates_.size()); ++i) {
    if (i == at_ || now < candidates_[i].refused_until || !look(candidates_[i].cpu).online)
      continue;
    if (best < 0 || rank(i) < rank(best)) best = i;
  }
  return best;
}

void SpinPlace::Go(int candidate, Time now) {
  if (at_ >= 0) {
    candidates_[at_].left = now;
    ++moves_;
  }
  at_ = candidate;
  cpu_ = candidates_[candidate].cpu;
  since_ = now;
}

void SpinPlace::Refused(Time now) {
  if (at_ >= 0) candidates_[at_].refused_until = now + kShunned;
}

}  // namespace corral
