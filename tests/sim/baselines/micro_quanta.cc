// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <deque>
#include <set>
#include <utility>
#include <vector>

#include "tests/sim/baselines/baselines.h"

namespace corral::baselines {
namespace {

class Quanta final : public Scheduler {
 public:
  explicit Quanta(const MicroQuantaOptions& options) : options_(options) {}

  void Attach(World& world) override {
    Scheduler::Attach(world);
    batch_.resize(static_cast<size_t>(world.nr_cpus()));
    numbers_.resize(static_cast<size_t>(world.nr_cpus()));
  }

  void Ready(Thread& thread) override {
    if (IsBatch(thread)) {
      const int idle = world().IdleCpu(thread.cpu);
      const int cpu = idle >= 0 ? idle : Emptiest();
      batch_[cpu].insert({thread.cpu_time, thread.id});
      idle >= 0 ? RunNext(cpu) : ArmSlice(cpu);
    } else if (!Exhausted(thread)) {
      Start(thread);
    }
  }

  void Blocked(int cpu, Thread&) override { RunNext(cpu); }

 private:
  struct Budget {
    Time from = Time::min();  // of its period
    Duration had{0};          // CPU time at that time
  };

  bool IsBatch(const Thread& thread) const { return thread.weight <= options_.batch_weight; }
  bool HasWorker(int cpu) const {
    return world().Running(cpu) != nullptr && !IsBatch(*world().Running(cpu));
  }
  Budget& Of(const Thread& thread) {
    if (budgets_.size() <= static_cast<size_t>(thread.id))
      budgets_.resize(static_cast<size_t>(thread.id) + 1);
    return budgets_[thread.id];
  }
  Duration Left(const Thread& thread) {
    return options_.quota - (world().CpuTime(thread) - Of(thread).had);
  }

  // True if the worker has to wait for its period's end, which it does. One that is over makes room
  // for another one.
  bool Exhausted(Thread& thread) {
    Budget& budget = Of(thread);
    const Time end = budget.from + options_.period;
    if (world().now() >= end) {
      budget = {.from = world().now(), .had = world().CpuTime(thread)};
      return false;
    }
    if (Left(thread) > Duration(0)) return false;
    world().At(end, [this, &thread] {
      if (!Exhausted(thread)) Start(thread);
    });
    return true;
  }

  void Start(Thread& thread) {
    const int cpu = Choose(thread);
    if (cpu < 0) return workers_.push_back(&thread);
    Run(cpu, thread, options_.wakeup);
  }

  // -1: workers have all.
  int Choose(const Thread& thread) const {
    if (thread.cpu >= 0 && !HasWorker(thread.cpu)) return thread.cpu;
    const int idle = world().IdleCpu();
    if (idle >= 0) return idle;
    for (int cpu = 0; cpu < world().nr_cpus(); ++cpu) {
      if (!HasWorker(cpu)) return cpu;
    }
    return -1;
  }

  void Run(int cpu, Thread& thread, Duration wakeup) {
    Thread* const former = world().Running(cpu);
    if (former != nullptr && IsBatch(*former))
      batch_[cpu].insert({world().CpuTime(*former), former->id});
    const bool moved = thread.cpu >= 0 && world().CoreOf(thread.cpu) != world().CoreOf(cpu);
    const Duration migration = moved ? options_.core_migration : Duration(0);
    ++numbers_[cpu];
    world().Put(cpu, thread, wakeup + options_.context_switch + migration);
    IsBatch(thread) ? ArmSlice(cpu) : ArmQuota(cpu);
  }

  void RunNext(int cpu) {
    if (!workers_.empty()) {
      Thread& next = *workers_.front();
      workers_.pop_front();
      return Run(cpu, next, Duration(0));
    }
    if (batch_[cpu].empty()) Steal(cpu);
    if (!batch_[cpu].empty()) RunFirst(cpu);
  }
  void RunFirst(int cpu) {
    Thread& first = world().thread(batch_[cpu].begin()->second);
    batch_[cpu].erase(batch_[cpu].begin());
    Run(cpu, first, Duration(0));
  }

  // While it switches it has no CPU time, so that it may not be through when we look again.
  void ArmQuota(int cpu) {
    Thread& thread = *world().Running(cpu);
    const Time at = std::min(world().now() + Left(thread), Of(thread).from + options_.period);
    world().At(at, [this, cpu, &thread, number = numbers_[cpu]] {
      if (numbers_[cpu] != number || world().Running(cpu) != &thread) return;
      if (!Exhausted(thread)) return ArmQuota(cpu);
      world().Clear(cpu);
      RunNext(cpu);
    });
  }

  // A slice has an end only while another one waits here.
  void ArmSlice(int cpu) {
    if (HasWorker(cpu) || batch_[cpu].empty()) return;
    world().At(world().now() + options_.batch_slice, [this, cpu, number = ++numbers_[cpu]] {
      if (numbers_[cpu] != number || HasWorker(cpu) || batch_[cpu].empty()) return;
      if (world().CpuTime(*world().Running(cpu)) <= batch_[cpu].begin()->first)
        return ArmSlice(cpu);
      RunFirst(cpu);
    });
  }

  int Emptiest() const {
    int best = 0;
    for (int cpu = 1; cpu < world().nr_cpus(); ++cpu) {
      if (batch_[cpu].size() < batch_[best].size()) best = cpu;
    }
    return best;
  }
  void Steal(int cpu) {
    const auto fullest =
        std::max_element(batch_.begin(), batch_.end(),
                         [](const auto& a, const auto& b) { return a.size() < b.size(); });
    if (fullest->empty()) return;
    batch_[cpu].insert(*fullest->begin());
    fullest->erase(fullest->begin());
  }

  const MicroQuantaOptions options_;
  std::vector<Budget> budgets_;                            // by thread
  std::vector<std::set<std::pair<Duration, int>>> batch_;  // that wait, by CPU: CPU time, thread
  std::vector<uint64_t> numbers_;                          // of what an alarm is for, by CPU
  std::deque<Thread*> workers_;                            // that no CPU has room for
};

}  // namespace

std::unique_ptr<Scheduler> MicroQuanta(const MicroQuantaOptions& options) {
  return std::make_unique<Quanta>(options);
}

}  // namespace corral::baselines
