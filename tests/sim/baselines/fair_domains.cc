// SPDX-License-Identifier: Apache-2.0
// Who is moved to another CPU, as in kernel/sched/fair.c of Linux 5.5 to 5.15: siblings (SMT), CPUs
// that share an L3 (MC), a node (DIE), all (NUMA) are scheduling domains of each CPU, each made of
// groups, which are the domains below.
//
// Loads are counted in threads, where the kernel has decaying averages. Left out, all of which cost
// a kernel something or gain it little here: wake_affine (a query comes by interrupt and a thread's
// decayed load mostly keeps it where it was), NUMA balancing, the limits of select_idle_cpu's scan,
// and the time that balancing takes.
#include <algorithm>

#include "tests/sim/baselines/fair.h"

namespace corral::baselines {
namespace {

using std::chrono::milliseconds;

// sd_init, as it is since 5.10; before, the factor was 32, and 125 % where no cache is shared.
constexpr int kBusyFactor = 16;
constexpr int kImbalancePercent = 117;
constexpr int kImbalancePercentSmt = 110;

}  // namespace

void Fair::AttachDomains() {
  const int all = world().nr_cpus();
  const auto in_l3 = [&](int cpu) { return world().L3Of(cpu) == 0; };
  const auto in_node = [&](int cpu) { return world().NodeOf(cpu) == 0; };
  const auto count = [&](auto is_in) {
    int n = 0;
    for (int cpu = 0; cpu < all; ++cpu) n += is_in(cpu);
    return n;
  };
  int group = 1;
  const auto add = [&](int cpus, int percent, int nice_tries, bool shares_cache) {
    if (cpus <= group) return;  // degenerate
    levels_.push_back({cpus, group, percent, nice_tries, shares_cache});
    group = cpus;
  };
  add(world().siblings(), kImbalancePercentSmt, 0, true);
  add(count(in_l3), kImbalancePercent, 1, true);
  add(count(in_node), kImbalancePercent, 1, false);
  add(all, kImbalancePercent, 2, false);
  cpus_.resize(static_cast<size_t>(all));
  for (Cpu& cpu : cpus_) {
    cpu.avg_idle = 2 * options_.migration_cost;
    cpu.idle_since = world().now();
    for (const Level& level : levels_)
      cpu.domains.push_back({.last = world().now(), .interval = milliseconds(level.cpus)});
  }
  world().At(world().now() + options_.tick, [this] { TickDomains(); });
}

// ---- wakeups ----

// select_idle_sibling, from where it ran last: that CPU, if it is idle, whatever its sibling does;
// an idle core of the L3; an idle CPU of it; or else to wait where it was.
int Fair::ChooseInDomains(const Thread& thread) {
  const int last = Of(thread).cpu;
  if (last < 0) return Idlest(thread);
  if (IsIdle(last)) return last;
  int idle = -1;
  for (int i = 1; i < world().nr_cpus(); ++i) {
    const int cpu = (last + i) % world().nr_cpus();
    if (world().L3Of(cpu) != world().L3Of(last) || !IsIdle(cpu) || !world().MayUse(thread, cpu))
      continue;
    if (world().BusySiblings(world().CoreOf(cpu)) == 0) return cpu;
    if (idle < 0) idle = cpu;
  }
  return idle >= 0 ? idle : last;
}

// find_idlest_cpu, at fork: down the domains, into the group with most idle CPUs.
int Fair::Idlest(const Thread& thread) const {
  int first = 0;
  for (auto level = levels_.rbegin(); level != levels_.rend(); ++level)
    first = IdlestGroup(thread, first, level->cpus, level->group);
  return first;
}

int Fair::IdlestGroup(const Thread& thread, int first, int cpus, int group) const {
  int best = -1;
  std::pair<int, int> least;
  for (int from = first; from < first + cpus; from += group) {
    if (!world().MayUse(thread, from)) continue;
    std::pair price(0, 0);
    for (int cpu = from; cpu < from + group; ++cpu) {
      price.first -= IsIdle(cpu) && Waiting(cpu) == 0;
      price.second += NrRunning(cpu);
    }
    if (best >= 0 && price >= least) continue;
    best = from;
    least = price;
  }
  return best >= 0 ? best : first;
}

// ttwu_do_wakeup.
void Fair::EndIdle(int cpu) {
  Cpu& c = cpus_[cpu];
  if (c.idle_since == Time::max()) return;
  const Duration idle = world().now() - std::exchange(c.idle_since, Time::max());
  c.avg_idle = std::min(c.avg_idle + (idle - c.avg_idle) / 8, 2 * options_.migration_cost);
}

// newidle_balance: not where a CPU is not idle for long, and only if somebody waits somewhere.
void Fair::NewIdle(int cpu) {
  Cpu& c = cpus_[cpu];
  c.idle_since = world().now();
  if (c.avg_idle < options_.newidle_threshold) return;
  const auto waits = [](const Queue& queue) { return !queue.waiting.empty(); };
  if (std::none_of(queues_.begin(), queues_.end(), waits)) return;
  for (size_t level = 0; level < levels_.size(); ++level) {
    if (!LoadBalance(cpu, level, Idle::kNewly)) continue;
    c.idle_since = Time::max();
    return;
  }
}

// ---- balancing ----

// rebalance_domains, and nohz_idle_balance for those that idle.
void Fair::TickDomains() {
  for (int cpu = 0; cpu < world().nr_cpus(); ++cpu) {
    for (size_t level = 0; level < levels_.size(); ++level) {
      Domain& domain = cpus_[cpu].domains[level];
      const bool idle = IsIdle(cpu);
      // One jiffy less for a busy one, so that levels do not coincide.
      const Duration every =
          idle ? domain.interval : domain.interval * kBusyFactor - milliseconds(1);
      if (world().now() < domain.last + every) continue;
      domain.last = world().now();
      if (!LoadBalance(cpu, level, idle ? Idle::kIdle : Idle::kNot)) continue;
      BeginOrArm(cpu);
    }
  }
  world().At(world().now() + options_.tick, [this] { TickDomains(); });
}

// should_we_balance: the first idle CPU of the group does it for all of them.
bool Fair::ShouldBalance(int cpu, const Level& level) const {
  const int first = cpu / level.group * level.group;
  for (int other = first; other < first + level.group; ++other) {
    if (IsIdle(other)) return other == cpu;
  }
  return cpu == first;
}

Fair::Group Fair::GroupOf(int first, const Level& level) const {
  Group group = {.first = first};
  for (int cpu = first; cpu < first + level.group; ++cpu) {
    group.running += NrRunning(cpu);
    group.idle += IsIdle(cpu);
  }
  return group;
}

// update_sd_pick_busiest. first: -1 if there is none but the CPU's own.
Fair::Group Fair::Busiest(int cpu, const Level& level) const {
  const int own = cpu / level.group * level.group;
  const int first = cpu / level.cpus * level.cpus;
  Group busiest;
  for (int other = first; other < first + level.cpus; other += level.group) {
    if (other == own) continue;
    const Group group = GroupOf(other, level);
    if (busiest.first < 0 ||
        std::pair(group.running, -group.idle) > std::pair(busiest.running, -busiest.idle))
      busiest = group;
  }
  return busiest;
}

// find_busiest_group, calculate_imbalance: how many threads should come.
int Fair::Imbalance(int cpu, const Level& level, Idle idle, const Group& local,
                    const Group& busiest) const {
  const bool overloaded = busiest.running > level.group;
  if (local.idle > 0) {
    if (!overloaded) {
      // prefer_sibling: also if nobody waits.
      if (busiest.running > local.running + 1) return (busiest.running - local.running) / 2;
      return 0;
    }
    if (level.shares_cache) return std::max(1, (busiest.running - local.running) / 2);
    return idle == Idle::kNot ? local.idle : std::max(1, local.idle);  // migrate_util
  }
  if (!overloaded) return 0;
  // Both are full.
  const int first = cpu / level.cpus * level.cpus;
  int running = 0;
  for (int other = first; other < first + level.cpus; ++other) running += NrRunning(other);
  const int groups = level.cpus / level.group;
  if (busiest.running * 100 <= level.imbalance_pct * local.running) return 0;
  return std::min(busiest.running - running / groups, running / groups - local.running);
}

// Whether somebody came to wait on `cpu`.
bool Fair::LoadBalance(int cpu, size_t number, Idle idle) {
  const Level& level = levels_[number];
  Domain& domain = cpus_[cpu].domains[number];
  if (idle != Idle::kNewly && !ShouldBalance(cpu, level)) return false;
  const Group local = GroupOf(cpu / level.group * level.group, level);
  const Group busiest = Busiest(cpu, level);
  const Duration shortest = milliseconds(level.cpus);
  int most = busiest.first < 0 ? 0 : Imbalance(cpu, level, idle, local, busiest);
  if (most <= 0) {
    domain.failed = 0;
    if (idle != Idle::kNewly) domain.interval = std::min(domain.interval * 2, 2 * shortest);
    return false;
  }
  // detach_tasks: a newly idle CPU takes one.
  if (idle == Idle::kNewly) most = 1;
  int from = busiest.first;
  for (int other = from; other < busiest.first + level.group; ++other) {
    if (NrRunning(other) > NrRunning(from)) from = other;
  }
  const bool hot_too = level.cpus <= world().siblings() || domain.failed > level.nice_tries;
  const int moved = Detach(from, cpu, most, hot_too);
  if (moved > 0) domain.failed = 0;
  if (idle == Idle::kNewly) return moved > 0;
  domain.interval = shortest;
  if (moved > 0) return true;
  // need_active_balance
  if (++domain.failed > level.nice_tries + 2) {
    domain.failed = level.nice_tries;
    PushRunning(cpu, busiest.first, level.group);
  }
  return false;
}

// can_migrate_task, task_hot: not those that ran a moment ago, unless that failed before.
int Fair::Detach(int from, int to, int most, bool hot_too) {
  int moved = 0;
  std::vector<Thread*> some;
  for (const auto& [runtime, id] : queues_[from].waiting) {
    Thread& thread = world().thread(id);
    if (!world().MayUse(thread, to)) continue;
    if (!hot_too && world().now() - Of(thread).ran < options_.migration_cost) continue;
    some.push_back(&thread);
  }
  for (Thread* const thread : some) {
    if (moved == most) break;
    MoveWaiting(from, to, *thread);
    ++moved;
  }
  return moved;
}

// active_load_balance_cpu_stop: one that runs in the group comes, where none waits.
void Fair::PushRunning(int cpu, int first, int group) {
  if (!IsIdle(cpu)) return;
  for (int from = first; from < first + group; ++from) {
    const Thread* const running = world().Running(from);
    if (running == nullptr || !world().MayUse(*running, cpu)) continue;
    return MoveRunning(from, cpu);
  }
}

}  // namespace corral::baselines
