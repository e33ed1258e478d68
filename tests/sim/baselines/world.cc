// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/baselines/world.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "tests/sim/baselines/source.h"

namespace corral::baselines {

World::World(const Spec& spec, std::unique_ptr<Scheduler> scheduler)
    : spec_(spec), scheduler_(std::move(scheduler)), random_(spec.seed) {
  cpus_.resize(static_cast<size_t>(spec.cores * spec.siblings));
  result_.fingerprint = 0xcbf29ce484222325;  // after FNV-1a, by words
  scheduler_->Attach(*this);
}

World::~World() = default;

void World::At(Time when, sim::EventQueue::Action action) {
  events_.Add(std::max(when, now_), std::move(action));
}

void World::RunFor(Duration time) {
  const Time end = now_ + time;
  while (!events_.empty() && events_.next() <= end) {
    Advance(events_.next());
    events_.Take()();
  }
  Advance(end);
}

// What happens at one time is over before it is looked at: only states that last are audited.
void World::Advance(Time to) {
  if (to > now_) {
    for (int core = 0; core < nr_cores(); ++core) Audit(core, to - now_);
  }
  now_ = to;
}

void World::Audit(int core, Duration time) {
  const Thread* owner = nullptr;
  int idle = 0;
  bool mixed = false;
  for (int i = 0; i < siblings(); ++i) {
    const Thread* const running = cpus_[core * siblings() + i].running;
    if (running == nullptr) {
      ++idle;
    } else {
      mixed |= owner != nullptr && owner->domain != running->domain;
      owner = running;
    }
  }
  result_.idle += time * idle;
  if (mixed) result_.cross_domain += time;
  if (waiting_ == 0) return;
  result_.forced_idle += time * idle;
  if (owner == nullptr || waiting_in_[owner->domain] > 0) result_.unjustified_idle += time * idle;
}

Result World::GetResult() {
  for (int cpu = 0; cpu < nr_cpus(); ++cpu) Charge(cpu);
  Result result = result_;
  result.elapsed = now_.time_since_epoch();
  for (const std::unique_ptr<Thread>& thread : threads_) {
    result.busy += thread->cpu_time;
    result.domains[thread->domain].cpu_time += thread->cpu_time;
    result.domains[thread->domain].work += Duration(thread->work / 1000);
  }
  return result;
}

Duration World::CpuTime(const Thread& thread) {
  if (thread.state == Thread::State::kRunning) Charge(thread.cpu);
  return thread.cpu_time;
}

int64_t World::Remaining(const Thread& thread) {
  if (thread.state == Thread::State::kRunning) Charge(thread.cpu);
  return thread.remaining;
}

void World::Charge(int cpu) {
  Cpu& c = cpus_[cpu];
  const Time from = std::exchange(c.charged, now_);
  if (c.running == nullptr) return;
  Thread& thread = *c.running;
  const Time works = std::clamp(c.works_from, from, now_);
  result_.switching += works - from;
  thread.cpu_time += now_ - works;
  // A job ends at a whole ns, at most one too late.
  const int64_t work = std::min((now_ - works).count() * c.speed, thread.remaining);
  thread.work += work;
  if (thread.remaining != Thread::kEndless) thread.remaining -= work;
}

void World::Put(int cpu, Thread& thread, Duration cost) {
  if (cpus_[cpu].running == &thread) return;
  if (thread.state != Thread::State::kWaiting) std::abort();  // the scheduler's mistake
  Replace(cpu, &thread, cost);
}

void World::Clear(int cpu) {
  if (cpus_[cpu].running != nullptr) Replace(cpu, nullptr, Duration(0));
}

void World::Replace(int cpu, Thread* next, Duration cost) {
  Cpu& c = cpus_[cpu];
  const int first = CoreOf(cpu) * siblings();
  for (int i = first; i < first + siblings(); ++i) Charge(i);
  if (c.running != nullptr && c.running->state == Thread::State::kRunning) SetWaiting(*c.running);
  if (c.running != nullptr) c.left = now_;
  c.running = next;
  if (next != nullptr) {
    next->state = Thread::State::kRunning;
    next->cpu = cpu;
    --waiting_;
    --waiting_in_[next->domain];
    // A scheduler may clear a CPU and think better of it at the same time: nothing happened.
    const bool switched = c.last != next || c.left != now_;
    c.works_from = now_ + (switched ? cost : Duration(0));
    Record(cpu, switched);
    c.last = next;
  }
  const int busy = BusySiblings(CoreOf(cpu));
  for (int i = first; i < first + siblings(); ++i) {
    const int speed = busy > 1 ? spec_.smt_speed : 1000;
    if (std::exchange(cpus_[i].speed, speed) != speed || i == cpu) Arm(i);
  }
}

void World::Record(int cpu, bool switched) {
  const Cpu& c = cpus_[cpu];
  Thread& thread = *c.running;
  if (thread.woke.has_value()) {
    result_.domains[thread.domain].wake_to_run.Add(c.works_from - *thread.woke);
    thread.woke.reset();
  }
  if (!switched) return;
  ++result_.switches;
  for (const int64_t word : {now_.time_since_epoch().count(), int64_t{cpu}, int64_t{thread.id}}) {
    result_.fingerprint = (result_.fingerprint ^ static_cast<uint64_t>(word)) * 0x100000001b3;
  }
}

void World::SetWaiting(Thread& thread) {
  thread.state = Thread::State::kWaiting;
  ++waiting_;
  ++waiting_in_[thread.domain];
}

void World::Arm(int cpu) {
  Cpu& c = cpus_[cpu];
  const uint64_t arming = ++c.arming;
  if (c.running == nullptr || c.running->remaining == Thread::kEndless) return;
  const Duration left((c.running->remaining + c.speed - 1) / c.speed);
  At(std::max(now_, c.works_from) + left, [this, cpu, arming] { JobOver(cpu, arming); });
}

void World::JobOver(int cpu, uint64_t arming) {
  if (cpus_[cpu].arming != arming) return;
  Charge(cpu);
  Thread& thread = *cpus_[cpu].running;
  if (NextJob(thread)) {
    Arm(cpu);
    scheduler_->JobDone(cpu, thread);
    return;
  }
  thread.state = Thread::State::kAsleep;
  Replace(cpu, nullptr, Duration(0));
  scheduler_->Blocked(cpu, thread);
}

int World::BusySiblings(int core) const {
  const auto first = cpus_.begin() + core * siblings();
  return static_cast<int>(
      std::count_if(first, first + siblings(), [](const Cpu& c) { return c.running != nullptr; }));
}

int World::IdleCpu(int near) const {
  int best = -1;
  bool best_alone = false;
  for (int cpu = 0; cpu < nr_cpus(); ++cpu) {
    if (cpus_[cpu].running != nullptr) continue;
    const bool alone = BusySiblings(CoreOf(cpu)) == 0;
    if (best < 0 || alone > best_alone || (alone == best_alone && cpu == near)) {
      best = cpu;
      best_alone = alone;
    }
  }
  return best;
}

std::optional<World::Move> World::Crowded() const {
  for (int to = 0; to < nr_cpus(); ++to) {
    if (BusySiblings(CoreOf(to)) > 0) continue;
    for (int from = 0; from < nr_cpus(); ++from) {
      const Thread* const thread = cpus_[from].running;
      if (thread != nullptr && BusySiblings(CoreOf(from)) > 1 && MayUse(*thread, to))
        return Move{from, to};
    }
  }
  return std::nullopt;
}

}  // namespace corral::baselines
