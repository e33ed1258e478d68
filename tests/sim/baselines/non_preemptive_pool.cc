// SPDX-License-Identifier: Apache-2.0
#include <deque>

#include "tests/sim/baselines/baselines.h"

namespace corral::baselines {
namespace {

class Pool final : public Scheduler {
 public:
  explicit Pool(const PoolOptions& options) : options_(options) {}

  void Ready(Thread& thread) override {
    queue_.push_back(&thread);
    const int cpu = world().IdleCpu(thread.cpu);
    if (cpu >= 0) RunNext(cpu);
  }
  void Blocked(int cpu, Thread&) override {
    if (!queue_.empty()) RunNext(cpu);
  }
  // Requests are served in their order: a worker with another one gets in line with it.
  void JobDone(int cpu, Thread& thread) override {
    queue_.push_back(&thread);
    RunNext(cpu);
  }

 private:
  void RunNext(int cpu) {
    Thread& next = *queue_.front();
    queue_.pop_front();
    world().Put(cpu, next, options_.context_switch);
  }

  const PoolOptions options_;
  std::deque<Thread*> queue_;
};

}  // namespace

std::unique_ptr<Scheduler> NonPreemptivePool(const PoolOptions& options) {
  return std::make_unique<Pool>(options);
}

}  // namespace corral::baselines
