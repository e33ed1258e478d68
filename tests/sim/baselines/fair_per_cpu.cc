// SPDX-License-Identifier: Apache-2.0
// Who runs on a CPU, and for how long.
#include <algorithm>

#include "tests/sim/baselines/fair.h"

namespace corral::baselines {

void Fair::Attach(World& world) {
  Scheduler::Attach(world);
  queues_.resize(static_cast<size_t>(world.nr_cpus()));
  if (options_.balancing == FairOptions::Balancing::kDomains) return AttachDomains();
  world.At(world.now() + options_.balance_every, [this] { BalanceAtOnce(); });
}

// try_to_wake_up, check_preempt_wakeup.
void Fair::Ready(Thread& thread) {
  const bool domains = options_.balancing == FairOptions::Balancing::kDomains;
  const int cpu = domains ? ChooseInDomains(thread) : ChooseAtOnce(thread);
  Queue& queue = queues_[cpu];
  Entity& entity = Of(thread);
  Update(cpu);
  Place(entity, queue, Virtual(options_.sleeper_credit, thread));
  Enqueue(cpu, thread);
  if (domains) EndIdle(cpu);
  Thread* const running = world().Running(cpu);
  if (running == nullptr) {
    RunFirst(cpu);
  } else if (Of(*running).runtime - entity.runtime > Virtual(options_.wakeup_granularity, thread)) {
    Preempt(cpu);
  } else {
    Arm(cpu);
  }
}

void Fair::Blocked(int cpu, Thread& thread) {
  Charge(thread);
  Of(thread).ran = world().now();
  queues_[cpu].load -= thread.weight;
  if (queues_[cpu].waiting.empty()) {
    if (options_.balancing == FairOptions::Balancing::kDomains) {
      NewIdle(cpu);
    } else {
      StealAtOnce(cpu);
    }
  }
  if (!queues_[cpu].waiting.empty()) RunFirst(cpu);
}

Fair::Entity& Fair::Of(const Thread& thread) {
  if (entities_.size() <= static_cast<size_t>(thread.id)) {
    entities_.resize(static_cast<size_t>(thread.id) + 1);
  }
  return entities_[thread.id];
}

void Fair::Charge(Thread& thread) {
  Entity& entity = Of(thread);
  const Duration time = world().CpuTime(thread);
  entity.runtime += Virtual(time - std::exchange(entity.charged, time), thread);
}

// place_entity, migrate_task_rq_fair. A thread keeps its distance to the virtual time when it
// changes queues. Sleep counts up to the credit, birth not at all.
void Fair::Place(Entity& entity, const Queue& queue, int64_t credit) {
  if (entity.cpu < 0) {
    entity.runtime = queue.least;
    return;
  }
  entity.runtime += queue.least - queues_[entity.cpu].least;
  entity.runtime = std::max(entity.runtime, queue.least - credit);
}

// update_min_vruntime.
void Fair::Update(int cpu) {
  Queue& queue = queues_[cpu];
  Thread* const running = world().Running(cpu);
  int64_t least = INT64_MAX;
  if (running != nullptr) {
    Charge(*running);
    least = Of(*running).runtime;
  }
  if (!queue.waiting.empty()) least = std::min(least, queue.waiting.begin()->first);
  if (least != INT64_MAX) queue.least = std::max(queue.least, least);
}

void Fair::Enqueue(int cpu, Thread& thread) {
  Of(thread).cpu = cpu;
  queues_[cpu].waiting.insert({Of(thread).runtime, thread.id});
  queues_[cpu].load += thread.weight;
}

void Fair::RunFirst(int cpu) {
  Queue& queue = queues_[cpu];
  Thread& first = world().thread(queue.waiting.begin()->second);
  queue.waiting.erase(queue.waiting.begin());
  queue.slice_from = world().now();
  world().Put(cpu, first, SwitchCost(cpu, first));
  Update(cpu);
  Arm(cpu);
}

Duration Fair::SwitchCost(int cpu, const Thread& thread) const {
  const int last = thread.cpu;
  Duration cost = options_.context_switch;
  if (last < 0 || world().CoreOf(last) == world().CoreOf(cpu)) return cost;
  if (world().NodeOf(last) != world().NodeOf(cpu))
    return cost + thread.footprint * options_.node_migration;
  if (world().L3Of(last) != world().L3Of(cpu))
    return cost + thread.footprint * options_.l3_migration;
  return cost + options_.core_migration;
}

// The running thread gets in line; it may turn out to be the first.
void Fair::Preempt(int cpu) {
  Thread& running = *world().Running(cpu);
  Charge(running);
  Of(running).ran = world().now();
  queues_[cpu].waiting.insert({Of(running).runtime, running.id});
  RunFirst(cpu);
}

// sched_slice: its part, by weight, of the time in which each is to have had a turn.
Duration Fair::Slice(int cpu, const Thread& thread) const {
  const Queue& queue = queues_[cpu];
  const int64_t running = Waiting(cpu) + 1;
  const Duration period = std::max(options_.latency, running * options_.min_granularity);
  return Duration(period.count() * thread.weight / std::max(queue.load, thread.weight));
}

// A slice has an end only while somebody waits, and it is noticed at a tick.
void Fair::Arm(int cpu) {
  Queue& queue = queues_[cpu];
  if (queue.armed || queue.waiting.empty()) return;
  queue.armed = true;
  const Duration since = world().now().time_since_epoch();
  world().At(Time((since / options_.tick + 1) * options_.tick), [this, cpu] { Tick(cpu); });
}

// task_tick_fair, check_preempt_tick.
void Fair::Tick(int cpu) {
  Queue& queue = queues_[cpu];
  queue.armed = false;
  if (queue.waiting.empty() || IsIdle(cpu)) return;
  Thread& running = *world().Running(cpu);
  Charge(running);
  const Duration ran = world().now() - queue.slice_from;
  const Duration slice = Slice(cpu, running);
  const int64_t ahead = Of(running).runtime - queue.waiting.begin()->first;
  if (ran >= slice || (ran >= options_.min_granularity && ahead > Virtual(slice, running)))
    return Preempt(cpu);
  Arm(cpu);
}

void Fair::BeginOrArm(int cpu) {
  if (queues_[cpu].waiting.empty()) return;
  if (IsIdle(cpu)) {
    RunFirst(cpu);
  } else {
    Arm(cpu);
  }
}

void Fair::MoveWaiting(int from, int to, Thread& thread) {
  Update(from);
  Update(to);
  queues_[from].waiting.erase({Of(thread).runtime, thread.id});
  queues_[from].load -= thread.weight;
  Of(thread).runtime += queues_[to].least - queues_[from].least;
  Enqueue(to, thread);
}

void Fair::MoveRunning(int from, int to) {
  Thread& thread = *world().Running(from);
  Charge(thread);
  Of(thread).ran = world().now();
  world().Clear(from);
  queues_[from].waiting.insert({Of(thread).runtime, thread.id});
  MoveWaiting(from, to, thread);
  BeginOrArm(to);
  BeginOrArm(from);
}

std::unique_ptr<Scheduler> FairPerCpu(const FairOptions& options) {
  return std::make_unique<Fair>(options);
}

}  // namespace corral::baselines
