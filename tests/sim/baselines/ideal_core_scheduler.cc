// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <deque>
#include <vector>

#include "tests/sim/baselines/baselines.h"

namespace corral::baselines {
namespace {

class CoreScheduler final : public Scheduler {
 public:
  explicit CoreScheduler(const CoreOptions& options) : options_(options) {}

  void Attach(World& world) override {
    Scheduler::Attach(world);
    cores_.resize(static_cast<size_t>(world.nr_cores()));
  }

  void Ready(Thread& thread) override {
    domains_.resize(static_cast<size_t>(world().nr_domains()));
    ChargeAll();
    Domain& domain = domains_[thread.domain];
    // Who slept is not owed what the others had meanwhile.
    if (domain.runnable == 0) domain.runtime = std::max(domain.runtime, virtual_time_);
    ++domain.runnable;
    domain.waiting.push_back(&thread);
    Settle();
  }

  void Blocked(int, Thread& thread) override {
    ChargeAll();
    --domains_[thread.domain].runnable;
    Settle();
  }

 private:
  static constexpr int kNone = -1;
  static constexpr int64_t kScale = 1024;  // of weighted core time at weight 1

  struct Domain {
    int64_t runtime = 0;  // core time by weight
    int runnable = 0;     // threads, those that run as well
    std::deque<Thread*> waiting;
  };
  struct Core {
    int owner = kNone;
    Time tenure_from{};
    Time charged{};
    uint64_t tenure = 0;  // its number
    bool armed = false;
  };

  void ChargeAll() {
    for (Core& core : cores_) {
      const Duration time = world().now() - core.charged;
      core.charged = world().now();
      if (core.owner == kNone) continue;
      domains_[core.owner].runtime += time.count() * kScale / world().Weight(core.owner);
    }
    const int least = Least([this](int d) { return domains_[d].runnable > 0; });
    if (least != kNone) virtual_time_ = std::max(virtual_time_, domains_[least].runtime);
  }

  // The domain with the least runtime of those for which `wants` holds.
  template <typename F>
  int Least(F wants) const {
    int best = kNone;
    for (int d = 0; d < static_cast<int>(domains_.size()); ++d) {
      if (!wants(d)) continue;
      if (best == kNone || domains_[d].runtime < domains_[best].runtime) best = d;
    }
    return best;
  }

  // Brings the cores to where nobody waits who could run. Idle cores are shared out first, then the
  // siblings beside a domain's own threads.
  void Settle() {
    for (int core = 0; core < world().nr_cores(); ++core) {
      if (world().BusySiblings(core) == 0) cores_[core].owner = kNone;
    }
    for (int core = 0; core < world().nr_cores(); ++core) {
      if (cores_[core].owner != kNone) continue;
      int next = Least([this](int d) { return Waiting(d) > FreeSiblings(d); });
      if (next == kNone) next = Least([this](int d) { return Waiting(d) > 0; });
      if (next == kNone) break;
      BeginTenure(core, next);
      RunNext(core, core * world().siblings());
    }
    for (int core = 0; core < world().nr_cores(); ++core) Fill(core);
    Spread();
    const bool anybody = Least([this](int d) { return Waiting(d) > 0; }) != kNone;
    for (int core = 0; anybody && core < world().nr_cores(); ++core) Arm(core);
  }

  int Waiting(int domain) const { return static_cast<int>(domains_[domain].waiting.size()); }
  int FreeSiblings(int domain) const {
    int nr = 0;
    for (int core = 0; core < world().nr_cores(); ++core) {
      if (cores_[core].owner == domain) nr += world().siblings() - world().BusySiblings(core);
    }
    return nr;
  }

  void BeginTenure(int core, int domain) {
    Core& c = cores_[core];
    c.owner = domain;
    c.tenure_from = world().now();
    ++c.tenure;
    c.armed = false;
  }

  void RunNext(int core, int cpu) {
    std::deque<Thread*>& waiting = domains_[cores_[core].owner].waiting;
    Thread& thread = *waiting.front();
    waiting.pop_front();
    world().Put(cpu, thread, options_.switch_cost);
  }

  void Fill(int core) {
    if (cores_[core].owner == kNone) return;
    for (int i = 0; i < world().siblings(); ++i) {
      const int cpu = core * world().siblings() + i;
      if (Waiting(cores_[core].owner) == 0) return;
      if (world().Running(cpu) == nullptr) RunNext(core, cpu);
    }
  }

  void Spread() {
    while (const auto move = world().Crowded()) {
      Thread& thread = *world().Running(move->from);
      world().Clear(move->from);
      BeginTenure(world().CoreOf(move->to), thread.domain);
      world().Put(move->to, thread, options_.switch_cost);
    }
  }

  // A tenure has an end only while somebody waits.
  void Arm(int core) {
    Core& c = cores_[core];
    if (c.armed || c.owner == kNone) return;
    c.armed = true;
    world().At(c.tenure_from + options_.tenure, [this, core, tenure = c.tenure] {
      if (cores_[core].tenure == tenure) TenureOver(core);
    });
  }

  void TenureOver(int core) {
    Core& c = cores_[core];
    c.armed = false;
    if (c.owner == kNone) return;
    ChargeAll();
    const int owner = c.owner;
    int next = Least([=, this](int d) { return d != owner && Waiting(d) > 0; });
    if (next == kNone || domains_[next].runtime > domains_[owner].runtime) next = owner;
    if (next != owner || Waiting(owner) > 0) Vacate(core);
    BeginTenure(core, next);
    Fill(core);
    Settle();
  }

  // Behind those that wait already: a domain's threads take turns.
  void Vacate(int core) {
    for (int i = 0; i < world().siblings(); ++i) {
      const int cpu = core * world().siblings() + i;
      Thread* const thread = world().Running(cpu);
      if (thread == nullptr) continue;
      domains_[thread->domain].waiting.push_back(thread);
      world().Clear(cpu);
    }
  }

  const CoreOptions options_;
  std::vector<Core> cores_;
  std::vector<Domain> domains_;
  int64_t virtual_time_ = 0;  // the least runtime of those that are runnable; never goes back
};

}  // namespace

std::unique_ptr<Scheduler> IdealCoreScheduler(const CoreOptions& options) {
  return std::make_unique<CoreScheduler>(options);
}

}  // namespace corral::baselines
