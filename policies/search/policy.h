// SPDX-License-Identifier: Apache-2.0
// Search: worker threads of all kinds on a machine with many caches. Whoever had least CPU time so
// far goes first, to an idle CPU as near as possible to where it ran last, at once and not when a
// balancer comes by; and rather than in other caches it runs a moment later.
//
// Order: a heap by elapsed runtime, divided by the task's weight, in which its nice value counts
// (the paper's own open point). So that nobody starves, what a task has ahead of the others or
// behind them when it gets in line counts up to `credit`, and a newcomer begins as far behind as
// anybody may be. A task keeps its CPU until it blocks, or until its slice is over and one waits
// that had less. Whoever gets in line is served when `locality` is over and each of the others has
// had two credits and some slices, at the latest.
//
// Place: in the L3 that it ran in last (a CCX), on an idle core if there is one. A sibling of a
// busy core is much slower for both: before it takes that, it goes to an idle core of its NUMA
// node, or else of any, and whoever has to share moves on when a core of that L3 becomes idle and
// nobody waits. Where its L3 has no idle CPU at all, it waits `park` for one, and then takes the
// nearest elsewhere. Where all are busy, whoever moves leaves caches to be filled again, which is
// work that there is too much of already: what becomes free goes to those of its own L3 first,
// unless somebody else had `locality` less.
//
// Source: SOSP'21 section 4.4. Units: ns. Thread rules: as agent/runtime/policy.h says.
#ifndef CORRAL_POLICIES_SEARCH_POLICY_H_
#define CORRAL_POLICIES_SEARCH_POLICY_H_

#include <vector>

#include "absl/types/span.h"
#include "agent/runtime/options.h"
#include "agent/runtime/policy.h"
#include "policies/central/assigner.h"
#include "policies/search/runtime_heap.h"

namespace corral::search {

enum class Placement : uint8_t {
  kIdleCores,  // as above
  kNearest,    // what is left of a busy core of its L3 comes before idle cores elsewhere
  kAnywhere,   // any CPU is as good as another, and nobody parks
};

struct Options {
  Duration slice = std::chrono::milliseconds(1);
  Duration park = std::chrono::microseconds(100);
  Duration credit = std::chrono::milliseconds(10);
  Duration locality = std::chrono::milliseconds(5);
  Placement placement = Placement::kIdleCores;
};

absl::Span<const OptionSpec> OptionTable();
// `values` were validated against OptionTable().
Options ReadOptions(const OptionValues& values);

class SearchPolicy final : public CentralPolicy {
 public:
  SearchPolicy(const Topology& topology, uint32_t nr_slots, const Options& options);

  void TaskNew(Task& task, Time now) override;
  void TaskWakeup(Task& task, Time now) override { GetInLine(task, now); }
  void TaskPreempt(Task& task, Time now) override { GetInLine(task, now); }
  void TaskBlocked(Task& task, Time now) override;
  void TaskOnCpu(Task& task, Time now) override;
  void TaskDeparted(Task& task, Time now) override { TaskBlocked(task, now); }
  void TaskAttributesChanged(Task& task, Time now) override;

  void Schedule(Time now, EnclaveTransaction& txn) override;
  void Committed(int core, const CoreTransaction& txn, Time now) override;
  Time NextDeadline() const override;
  bool IsQueued(const Task& task) const override { return seekers_[task].waits(); }

 private:
  enum Distance { kSameL3, kSameNode, kElsewhere };
  enum class Reach : uint8_t { kIdleCores, kAllIfOverdue, kOwnL3, kAll };  // of what is offered

  void Charge(Seeker& seeker);
  void GetInLine(Task& task, Time now);
  void Leave(Seeker& seeker);
  int64_t ElapsedAt(const Seeker& running, Time now) const;
  void Begin(EnclaveTransaction& txn, Time now);
  void Serve(Time now);
  bool Yields(const Seeker& running, const Seeker& waiting, Time now) const;
  void Offer(Reach reach, Time now);
  void Relieve(EnclaveTransaction& txn);
  int Movable(const CoreTransaction& txn, int core, const CpuSet& there) const;
  int DistanceOf(const Seeker& waiting, int core) const;
  bool Parks(Reach reach, const Seeker& waiting, Time now) const;
  bool IsParked(const Seeker& waiting, Time now) const;
  bool MayShare(const Seeker& waiting) const;
  bool IsOverdue(const Seeker& waiting, Time now) const;

  const Options options_;
  struct L3 {
    CpuSet cpus;  // of the enclave
    std::vector<int> cores;
  };
  std::vector<L3> l3s_;
  std::vector<int> idle_core_;  // by L3, room for Relieve
  central::Board board_;
  central::Assigner assigner_;
  PerTask<Seeker> seekers_;
  RuntimeHeap waiting_;
  central::Queue in_line_;            // the same, by when they got in line
  std::vector<Seeker*> placed_;       // room for Serve
  std::vector<Seeker*> passed_over_;  // room for Offer
  uint64_t next_number_ = 0;
  int64_t floor_ = 0;  // the least elapsed runtime of those that are not asleep
  Time scheduled_at_{};
  Time next_unparked_ = Time::max();
};

}  // namespace corral::search

#endif  // CORRAL_POLICIES_SEARCH_POLICY_H_
