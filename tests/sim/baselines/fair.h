// SPDX-License-Identifier: Apache-2.0
// FairPerCpu's inside: its queues, who runs on a CPU and for how long (fair_per_cpu.cc), and who is
// moved to another one (fair_balance.cc: at once; fair_domains.cc: as Linux does). What each rule
// is called in the kernel is said where it is. Units: ns. Not thread-safe.
#ifndef CORRAL_TESTS_SIM_BASELINES_FAIR_H_
#define CORRAL_TESTS_SIM_BASELINES_FAIR_H_

#include <set>
#include <utility>
#include <vector>

#include "tests/sim/baselines/baselines.h"

namespace corral::baselines {

class Fair final : public Scheduler {
 public:
  explicit Fair(const FairOptions& options) : options_(options) {}

  void Attach(World& world) override;
  void Ready(Thread& thread) override;
  void Blocked(int cpu, Thread& thread) override;

 private:
  static constexpr int64_t kScale = 1024;  // of virtual time at weight 1

  struct Entity {
    int64_t runtime = 0;  // virtual, in its CPU's time
    Duration charged{};   // the CPU time that is in it
    int cpu = -1;         // whose queue it is or was in
    Time ran{};           // until then
  };
  struct Queue {
    std::set<std::pair<int64_t, int>> waiting;  // runtime, thread
    int64_t least = 0;                          // the virtual time here; never goes back
    int64_t load = 0;                           // weights, of the running thread as well
    Time slice_from{};
    bool armed = false;
  };

  // ---- fair_per_cpu.cc ----
  Entity& Of(const Thread& thread);
  static int64_t Virtual(Duration time, const Thread& thread) {
    return time.count() * kScale / thread.weight;
  }
  void Charge(Thread& thread);
  void Place(Entity& entity, const Queue& queue, int64_t credit);
  void Update(int cpu);
  void Enqueue(int cpu, Thread& thread);
  void RunFirst(int cpu);
  Duration SwitchCost(int cpu, const Thread& thread) const;
  void Preempt(int cpu);
  Duration Slice(int cpu, const Thread& thread) const;
  void Arm(int cpu);
  void Tick(int cpu);
  void BeginOrArm(int cpu);
  void MoveWaiting(int from, int to, Thread& thread);
  void MoveRunning(int from, int to);
  bool IsIdle(int cpu) const { return world().Running(cpu) == nullptr; }
  int Waiting(int cpu) const { return static_cast<int>(queues_[cpu].waiting.size()); }
  int NrRunning(int cpu) const { return Waiting(cpu) + (IsIdle(cpu) ? 0 : 1); }

  // ---- fair_balance.cc ----
  int ChooseAtOnce(const Thread& thread);
  int IdleAnywhere(const Thread& thread) const;
  template <typename Less>
  int Extreme(Less less) const;
  void StealAtOnce(int cpu);
  Thread* FirstFor(int cpu, int from) const;
  void BalanceAtOnce();
  bool EvenOut();

  // ---- fair_domains.cc ----
  struct Level {  // a scheduling domain: of so many CPUs, in groups of so many
    int cpus;
    int group;
    int imbalance_pct;
    int nice_tries;
    bool shares_cache;
  };
  struct Domain {  // of one CPU
    Time last{};
    Duration interval{};
    int failed = 0;
  };
  struct Cpu {
    Duration avg_idle{};
    Time idle_since = Time::max();
    std::vector<Domain> domains;  // by level
  };
  struct Group {
    int first = -1;
    int running = 0;
    int idle = 0;
  };
  enum class Idle : uint8_t { kNot, kIdle, kNewly };

  void AttachDomains();
  int ChooseInDomains(const Thread& thread);
  int Idlest(const Thread& thread) const;
  int IdlestGroup(const Thread& thread, int first, int cpus, int group) const;
  bool IdleCore(const Thread& thread, int core) const;
  void EndIdle(int cpu);
  void NewIdle(int cpu);
  void TickDomains();
  bool ShouldBalance(int cpu, const Level& level) const;
  Group GroupOf(int first, const Level& level) const;
  Group Busiest(int cpu, const Level& level) const;
  int Imbalance(int cpu, const Level& level, Idle idle, const Group& local,
                const Group& busiest) const;
  bool LoadBalance(int cpu, size_t level, Idle idle);
  int Detach(int from, int to, int most, bool hot_too);
  void PushRunning(int cpu, int first, int group);

  const FairOptions options_;
  std::vector<Queue> queues_;
  std::vector<Entity> entities_;
  std::vector<Level> levels_;
  std::vector<Cpu> cpus_;
};

}  // namespace corral::baselines

#endif  // CORRAL_TESTS_SIM_BASELINES_FAIR_H_
