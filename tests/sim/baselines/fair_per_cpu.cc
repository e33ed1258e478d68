// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "tests/sim/baselines/baselines.h"

namespace corral::baselines {
namespace {

class Fair final : public Scheduler {
 public:
  explicit Fair(const FairOptions& options) : options_(options) {}

  void Attach(World& world) override {
    Scheduler::Attach(world);
    queues_.resize(static_cast<size_t>(world.nr_cpus()));
    world.At(world.now() + options_.balance_every, [this] { Balance(); });
  }

  void Ready(Thread& thread) override {
    const int cpu = Choose(thread);
    Queue& queue = queues_[cpu];
    Entity& entity = Of(thread);
    Update(cpu);
    Place(entity, queue, Virtual(options_.sleeper_credit, thread));
    Enqueue(cpu, thread);
    Thread* const running = world().Running(cpu);
    if (running == nullptr) {
      RunFirst(cpu);
    } else if (Of(*running).runtime - entity.runtime >
               Virtual(options_.wakeup_granularity, thread)) {
      Preempt(cpu);
    } else {
      Arm(cpu);
    }
  }

  void Blocked(int cpu, Thread& thread) override {
    Charge(thread);
    queues_[cpu].load -= thread.weight;
    if (queues_[cpu].waiting.empty()) Steal(cpu);
    if (!queues_[cpu].waiting.empty()) RunFirst(cpu);
  }

 private:
  static constexpr int64_t kScale = 1024;  // of virtual time at weight 1

  struct Entity {
    int64_t runtime = 0;  // virtual, in its CPU's time
    Duration charged{};   // the CPU time that is in it
    int cpu = -1;         // whose queue it is or was in
  };
  struct Queue {
    std::set<std::pair<int64_t, int>> waiting;  // runtime, thread
    int64_t least = 0;                          // the virtual time here; never goes back
    int64_t load = 0;                           // weights, of the running thread as well
    Time slice_from{};
    uint64_t number = 0;  // of the slice
    bool armed = false;
  };

  Entity& Of(const Thread& thread) {
    if (entities_.size() <= static_cast<size_t>(thread.id)) {
      entities_.resize(static_cast<size_t>(thread.id) + 1);
    }
    return entities_[thread.id];
  }
  static int64_t Virtual(Duration time, const Thread& thread) {
    return time.count() * kScale / thread.weight;
  }

  void Charge(Thread& thread) {
    Entity& entity = Of(thread);
    const Duration time = world().CpuTime(thread);
    entity.runtime += Virtual(time - std::exchange(entity.charged, time), thread);
  }

  // A thread keeps its distance to the virtual time when it changes queues. Sleep counts up to the
  // credit, birth not at all.
  void Place(Entity& entity, const Queue& queue, int64_t credit) {
    if (entity.cpu < 0) {
      entity.runtime = queue.least;
      return;
    }
    entity.runtime += queue.least - queues_[entity.cpu].least;
    entity.runtime = std::max(entity.runtime, queue.least - credit);
  }

  void Update(int cpu) {
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

  // One that is new goes where there is least to do, as after a fork.
  int Choose(const Thread& thread) {
    const bool is_new = Of(thread).cpu < 0;
    const int idle = IdleFor(thread, is_new);
    if (idle >= 0) return idle;
    if (!is_new) return Of(thread).cpu;
    return Extreme([&](int a, int b) {
      return std::pair(!world().MayUse(thread, a), queues_[a].load) <
             std::pair(!world().MayUse(thread, b), queues_[b].load);
    });
  }
  // Of an idle core, if there is one, and where it was among equals.
  int IdleFor(const Thread& thread, bool everywhere) const {
    int best = -1;
    std::pair<int, bool> least;
    for (int cpu = 0; cpu < world().nr_cpus(); ++cpu) {
      if (world().Running(cpu) != nullptr || !world().MayUse(thread, cpu)) continue;
      if (!everywhere && !Near(thread.cpu, cpu)) continue;
      const std::pair price(world().BusySiblings(world().CoreOf(cpu)), cpu != thread.cpu);
      if (best >= 0 && price >= least) continue;
      best = cpu;
      least = price;
    }
    return best;
  }
  bool Near(int a, int b) const {
    return !options_.within_l3 || a < 0 || world().L3Of(a) == world().L3Of(b);
  }
  template <typename Less>
  int Extreme(Less less) const {
    int best = 0;
    for (int cpu = 1; cpu < world().nr_cpus(); ++cpu) {
      if (less(cpu, best)) best = cpu;
    }
    return best;
  }

  void Enqueue(int cpu, Thread& thread) {
    Of(thread).cpu = cpu;
    queues_[cpu].waiting.insert({Of(thread).runtime, thread.id});
    queues_[cpu].load += thread.weight;
  }

  void RunFirst(int cpu) {
    Queue& queue = queues_[cpu];
    Thread& first = world().thread(queue.waiting.begin()->second);
    queue.waiting.erase(queue.waiting.begin());
    queue.slice_from = world().now();
    ++queue.number;
    queue.armed = false;
    world().Put(cpu, first, SwitchCost(cpu, first));
    Update(cpu);
    Arm(cpu);
  }

  Duration SwitchCost(int cpu, const Thread& thread) const {
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
  void Preempt(int cpu) {
    Thread& running = *world().Running(cpu);
    Charge(running);
    queues_[cpu].waiting.insert({Of(running).runtime, running.id});
    RunFirst(cpu);
  }

  // A slice has an end only while somebody waits.
  void Arm(int cpu) {
    Queue& queue = queues_[cpu];
    if (queue.armed || queue.waiting.empty()) return;
    queue.armed = true;
    world().At(queue.slice_from + options_.min_granularity, [this, cpu, number = queue.number] {
      if (queues_[cpu].number != number) return;
      queues_[cpu].armed = false;
      if (!queues_[cpu].waiting.empty() && world().Running(cpu) != nullptr) Preempt(cpu);
    });
  }

  // From the fullest of those in which somebody waits who may come. A CPU that is still empty then
  // has nothing to take.
  void Steal(int cpu) {
    Thread* best = nullptr;
    for (int from = 0; from < world().nr_cpus(); ++from) {
      if (!Near(cpu, from)) continue;
      if (best != nullptr && queues_[Of(*best).cpu].load >= queues_[from].load) continue;
      if (Thread* const first = FirstFor(cpu, from); first != nullptr) best = first;
    }
    if (best != nullptr) MoveWaiting(Of(*best).cpu, cpu, *best);
  }
  Thread* FirstFor(int cpu, int from) const {
    for (const auto& [runtime, id] : queues_[from].waiting) {
      if (world().MayUse(world().thread(id), cpu)) return &world().thread(id);
    }
    return nullptr;
  }

  void MoveWaiting(int from, int to, Thread& thread) {
    Update(from);
    Update(to);
    queues_[from].waiting.erase({Of(thread).runtime, thread.id});
    queues_[from].load -= thread.weight;
    Of(thread).runtime += queues_[to].least - queues_[from].least;
    Enqueue(to, thread);
  }

  void Balance() {
    while (EvenOut()) {
    }
    while (const auto move = world().Crowded()) {
      Thread& thread = *world().Running(move->from);
      Charge(thread);
      world().Clear(move->from);
      queues_[move->from].waiting.insert({Of(thread).runtime, thread.id});
      MoveWaiting(move->from, move->to, thread);
      RunFirst(move->to);
      if (!queues_[move->from].waiting.empty()) RunFirst(move->from);
    }
    world().At(world().now() + options_.balance_every, [this] { Balance(); });
  }

  // Each move makes the difference between two loads smaller, so this comes to an end.
  bool EvenOut() {
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
      // An idle CPU begins at once.
      if (world().Running(to) == nullptr) {
        RunFirst(to);
      } else {
        Arm(to);
      }
      return true;
    }
    return false;
  }

  const FairOptions options_;
  std::vector<Queue> queues_;
  std::vector<Entity> entities_;
};

}  // namespace

std::unique_ptr<Scheduler> FairPerCpu(const FairOptions& options) {
  return std::make_unique<Fair>(options);
}

}  // namespace corral::baselines
