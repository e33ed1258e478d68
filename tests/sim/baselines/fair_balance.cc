// SPDX-License-Identifier: Apache-2.0
// Kinder than any kernel: every idle CPU is seen, and every few ms nothing is left to be evened
// out.
#include <algorithm>

#include "tests/sim/baselines/fair.h"

namespace corral::baselines {

template <typename Less>
int Fair::Extreme(Less less) const {
  int best = 0;
  for (int cpu = 1; cpu < world().nr_cpus(); ++cpu) {
    if (less(cpu, best)) best = cpu;
  }
  return best;
}

// One that is new goes where there is least to do.
int Fair::ChooseAtOnce(const Thread& thread) {
  const int idle = IdleAnywhere(thread);
  if (idle >= 0) return idle;
  if (Of(thread).cpu >= 0) return Of(thread).cpu;
  return Extreme([&](int a, int b) {
    return std::pair(!world().MayUse(thread, a), queues_[a].load) <
           std::pair(!world().MayUse(thread, b), queues_[b].load);
  });
}

// Of an idle core, if there is one, and where it was among equals.
int Fair::IdleAnywhere(const Thread& thread) const {
  int best = -1;
  std::pair<int, bool> least;
  for (int cpu = 0; cpu < world().nr_cpus(); ++cpu) {
    if (!IsIdle(cpu) || !world().MayUse(thread, cpu)) continue;
    const std::pair price(world().BusySiblings(world().CoreOf(cpu)), cpu != thread.cpu);
    if (best >= 0 && price >= least) continue;
    best = cpu;
    least = price;
  }
  return best;
}

// From the fullest of those in which somebody waits who may come. A CPU that is still empty then
// has nothing to take.
void Fair::StealAtOnce(int cpu) {
  Thread* best = nullptr;
  for (int from = 0; from < world().nr_cpus(); ++from) {
    if (best != nullptr && queues_[Of(*best).cpu].load >= queues_[from].load) continue;
    if (Thread* const first = FirstFor(cpu, from); first != nullptr) best = first;
  }
  if (best != nullptr) MoveWaiting(Of(*best).cpu, cpu, *best);
}

Thread* Fair::FirstFor(int cpu, int from) const {
  for (const auto& [runtime, id] : queues_[from].waiting) {
    if (world().MayUse(world().thread(id), cpu)) return &world().thread(id);
  }
  return nullptr;
}

void Fair::BalanceAtOnce() {
  while (EvenOut()) {
  }
  while (const auto move = world().Crowded()) MoveRunning(move->from, move->to);
  world().At(world().now() + options_.balance_every, [this] { BalanceAtOnce(); });
}

// Each move makes the difference between two loads smaller, so this comes to an end.
bool Fair::EvenOut() {
  const int from = Extreme([&](int a, int b) {
    return std::pair(!queues_[a].waiting.empty(), queues_[a].load) >
           std::pair(!queues_[b].waiting.empty(), queues_[b].load);
  });
  for (const auto& [runtime, id] : queues_[from].waiting) {
    Thread& thread = world().thread(id);
    const int to = Extreme([&](int a, int b) {
      return std::pair(!world().MayUse(thread, a), queues_[a].load) <
             std::pair(!world().MayUse(thread, b), queues_[b].load);
    });
    if (queues_[from].load - queues_[to].load <= thread.weight) continue;
    MoveWaiting(from, to, thread);
    BeginOrArm(to);
    return true;
  }
  return false;
}

}  // namespace corral::baselines
