// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>
#include <tuple>
#include <vector>

#include "tests/sim/baselines/baselines.h"

namespace corral::baselines {
namespace {

class Ideal final : public Scheduler {
 public:
  explicit Ideal(const IdealOptions& options) : options_(options) {}

  void Attach(World& world) override {
    Scheduler::Attach(world);
    slices_.resize(static_cast<size_t>(world.nr_cpus()));
  }
  void Ready(Thread& thread) override {
    Enqueue(thread);
    Settle();
  }
  void Blocked(int, Thread&) override { Settle(); }
  // The next request is a newcomer like any other.
  void JobDone(int cpu, Thread& thread) override {
    Enqueue(thread);
    RunFirst(cpu, options_.switch_cost);
    Settle();
  }

 private:
  struct Slice {
    Time from{};
    uint64_t number = 0;
    bool armed = false;
  };

  bool ByRemaining() const { return options_.order == IdealOptions::Order::kShortestRemaining; }

  void Enqueue(Thread& thread) {
    waiting_.insert({ByRemaining() ? world().Remaining(thread) : 0, next_++, thread.id});
  }

  void RunFirst(int cpu, Duration cost) {
    Thread& first = world().thread(std::get<2>(*waiting_.begin()));
    waiting_.erase(waiting_.begin());
    BeginSlice(cpu);
    world().Put(cpu, first, cost);
  }

  void BeginSlice(int cpu) {
    Slice& slice = slices_[cpu];
    slice = {.from = world().now(), .number = slice.number + 1};
  }

  void Settle() {
    for (int cpu = world().IdleCpu(); cpu >= 0 && !waiting_.empty(); cpu = world().IdleCpu()) {
      RunFirst(cpu, options_.decision_cost + options_.switch_cost);
    }
    while (ByRemaining() && PreemptLongest()) {
    }
    while (const auto move = world().Crowded()) {
      Thread& thread = *world().Running(move->from);
      world().Clear(move->from);
      BeginSlice(move->to);
      world().Put(move->to, thread, options_.switch_cost);
    }
    if (waiting_.empty()) return;
    for (int cpu = 0; cpu < world().nr_cpus(); ++cpu) Arm(cpu);
  }

  bool PreemptLongest() {
    if (waiting_.empty()) return false;
    int longest = 0;
    for (int cpu = 1; cpu < world().nr_cpus(); ++cpu) {
      if (Left(cpu) > Left(longest)) longest = cpu;
    }
    if (Left(longest) <= std::get<0>(*waiting_.begin())) return false;
    Enqueue(*world().Running(longest));
    RunFirst(longest, options_.switch_cost);
    return true;
  }
  // When somebody waits, every CPU is busy.
  int64_t Left(int cpu) { return world().Remaining(*world().Running(cpu)); }

  // A slice has an end only while somebody waits.
  void Arm(int cpu) {
    Slice& slice = slices_[cpu];
    if (slice.armed) return;
    slice.armed = true;
    world().At(slice.from + options_.quantum,
               [this, cpu, number = slice.number] { SliceOver(cpu, number); });
  }

  void SliceOver(int cpu, uint64_t number) {
    if (slices_[cpu].number != number) return;
    slices_[cpu].armed = false;
    if (waiting_.empty() || world().Running(cpu) == nullptr) return;
    Enqueue(*world().Running(cpu));
    RunFirst(cpu, options_.switch_cost);
    Settle();
  }

  const IdealOptions options_;
  std::set<std::tuple<int64_t, uint64_t, int>> waiting_;  // remaining, turn, thread
  uint64_t next_ = 0;
  std::vector<Slice> slices_;
};

}  // namespace

std::unique_ptr<Scheduler> IdealPreemptive(const IdealOptions& options) {
  return std::make_unique<Ideal>(options);
}

}  // namespace corral::baselines
