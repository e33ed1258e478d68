// SPDX-License-Identifier: Apache-2.0
// CentralLoop, second part: which CPUs there are for tasks, and which one the agent itself has.
#include <algorithm>
#include <utility>

#include "agent/runtime/central_loop.h"

namespace corral {

using namespace loop_timing;

namespace {

template <typename T>
T Load(const T& shared) {
  return __atomic_load_n(&shared, __ATOMIC_RELAXED);
}

// The n-th of the set, beginning anew behind the last one.
CpuId Member(const CpuSet& set, size_t n) {
  CpuId found = set.First();
  size_t left = n % set.size();
  set.ForEach([&](CpuId cpu) {
    if (left-- == 0) found = cpu;
  });
  return found;
}

// Threads of other scheduling classes have the CPU, or wait until an agent has left it.
bool IsWantedByHost(const ghost_cpu_state& cpu) {
  return Load(cpu.taken) == GHOST_CPU_BY_HOST || Load(cpu.kept_waiting) != 0;
}

}  // namespace

// ---- CPUs for tasks ----

// Nobody is told when a CPU goes, when others take it, or when the thread of a core enters that.
void CentralLoop::LookAtCpus(Time now) {
  const CpuSet online_before = online_;
  const CpuSet elsewhere_before = elsewhere_;
  bool entered = false;
  for (int c = 0; c < state_.topology().nr_cores(); ++c) entered |= LookAtCore(c);
  // Until then the class had the core, and moved tasks of ours without telling.
  if (entered) AskForRescan();
  crowded_ |= !elsewhere_.Contains(elsewhere_before);
  if (online_ == online_before) return;
  for (Task* task = owned_.front(); task != nullptr; task = owned_.Next(*task)) Bar(*task, now);
}

// True if our agent is new there.
bool CentralLoop::LookAtCore(int core) {
  const absl::Span<const ghost_cpu_state> cpus = kernel_.cpu_states();
  const Core& place = state_.topology().core(core);
  const uint32_t online = state_.OnlineSiblings(core);
  const bool entered = entered_[core].load(std::memory_order_acquire);
  const bool served = entered && Load(kernel_.cores()[place.id.value()].agent_tid) != 0;
  uint32_t usable = 0;
  for (int i = 0; i < place.nr_cpus; ++i) {
    const CpuId cpu = place.cpu[i];
    const bool there = (online >> i) & 1;
    const bool by_host = there && IsWantedByHost(cpus[cpu.value()]);
    const bool ours = spins_ && cpu == place_.cpu();
    Set(online_, cpu, there);
    Set(elsewhere_, cpu, there && !by_host && !ours);
    if (served && there && !by_host && !ours) usable |= 1u << i;
  }
  if (usable != txn_.usable(core)) {
    txn_.SetUsable(core, usable);
    Stir();
  }
  return std::exchange(seen_entered_[core], entered) == 0 && entered;
}

void CentralLoop::Set(CpuSet& set, CpuId cpu, bool member) {
  if (member) {
    set.Insert(cpu);
  } else {
    set.Erase(cpu);
  }
}

// ---- the agent's own CPU ----

void CentralLoop::HouseKeep(Time now) {
  const bool room = !options_.housekeeping.empty() || online_.size() > 1;
  const bool spins = room && !owned_.empty();
  const bool changed = std::exchange(spins_, spins) != spins;
  if (changed) {
    LookAtCpus(now);
    Stir();
  }
  if (!spins || (!changed && now < look_around_at_)) return;
  look_around_at_ = now + kLookAround;
  if (now >= committed_at_ + kLookAround) LookAround(now);
  ChoosePlace(now);
}

// A commit of nothing: the class notes whom the agent keeps waiting.
void CentralLoop::LookAround(Time now) {
  committed_at_ = now;
  batch_.Clear();
  const absl::Status status = kernel_.Commit(batch_.call());
  if (!status.ok()) OnCallFailure(status);
}

void CentralLoop::ChoosePlace(Time now) {
  if (crowded_) crowded_ = IsNeeded(place());
  if (!place_.Choose(now, [this](CpuId cpu) { return UseOf(cpu); })) return;
  crowded_ = true;
  LookAtCpus(now);
  Stir();
}

SpinPlace::Use CentralLoop::UseOf(CpuId cpu) const {
  const absl::Span<const ghost_cpu_state> cpus = kernel_.cpu_states();
  const ghost_cpu_state& state = cpus[cpu.value()];
  const Topology& topology = state_.topology();
  SpinPlace::Use use = {.online = Load(state.offline) == 0};
  if (cpu == place()) {
    use.by_host = Load(state.kept_waiting) != 0;
    use.needed = crowded_;
    return use;
  }
  use.by_host = IsWantedByHost(state);
  const int core = topology.CoreOf(cpu);
  if (core < 0) return use;
  use.needed = IsNeeded(cpu);
  use.by_task = occupants_.at(cpu) != nullptr;
  topology.core(core).siblings.ForEach(
      [&](CpuId other) { use.beside |= other != cpu && occupants_.at(other) != nullptr; });
  return use;
}

// A task waits that could run nowhere else.
bool CentralLoop::IsNeeded(CpuId cpu) const {
  CpuSet others = elsewhere_;
  others.Erase(cpu);
  for (const Task* t = owned_.front(); t != nullptr; t = owned_.Next(*t)) {
    if (t->state == TaskState::kQueued && t->affinity.Contains(cpu) &&
        !t->affinity.Intersects(others))
      return true;
  }
  return false;
}

void CentralLoop::Updated(Task& task) {
  if (task.state != TaskState::kQueued || crowded_ || !spins_) return;
  crowded_ = task.affinity.Contains(place()) && !task.affinity.Intersects(elsewhere_);
}

// Whom we pushed aside when we came, or whom a decision is on its way for.
bool CentralLoop::HoldsSomething(CpuId cpu) const {
  const ghost_cpu_state& state = kernel_.cpu_states()[cpu.value()];
  return Load(state.claim) != 0 || Load(state.latch) != 0;
}

// Only the CPU that it is on can take a task that was preempted where migration is disabled. Nobody
// tells, nor which one that is: so every other time it is one CPU that is tried, at first the one
// where it ran last, and then each in turn, ours as well.
bool CentralLoop::TryWhereItIs(Task& task, Time now) {
  const int tries = task.moves++;
  if (tries % 2 == 1 || online_.empty()) return false;
  CpuId cpu(tracker_.Read(task.slot).cpu);
  if (tries > 0 || !online_.Contains(cpu)) cpu = Member(online_, tries / 2);
  tracker_.Tie(task, cpu, now);
  task.affinity = CpuSet();
  task.affinity.Insert(cpu);
  policy_.TaskAffinityChanged(task, now);
  crowded_ = true;  // perhaps
  return false;
}

Time CentralLoop::OwnDeadline(Time now) const {
  Time at = decide_at_;
  if (spins_) at = std::min(at, look_around_at_);
  // Nobody tells that a CPU is back, or a core entered.
  const bool whole =
      online_ == state_.topology().cpus() && std::all_of(seen_entered_.begin(), seen_entered_.end(),
                                                         [](char entered) { return entered != 0; });
  return whole || owned_.empty() ? at : std::min(at, now + kOffline);
}

}  // namespace corral
