// SPDX-License-Identifier: Apache-2.0
// Search: worker threads of all kinds on a machine with many caches. Whoever had least CPU time so
// far goes first, to an idle CPU as near as possible to where it ran last, at once and not when a
// balancer comes by; and rather than in other caches it runs a moment later.
//
// Order: a heap by elapsed runtime, divided by the task's weight, in which its nice value counts
// (the paper's own open point). So that nobody starves, what a task has ahead of the others or
// behind them when it gets in line counts up to `credit`, and a newcomer begins as far behind as
// anybody may be. A task keeps its CPU until it blocks, or until its slice is over and one waits
// that had less. Whoever gets in line is served when each of the others has had two credits and
// some slices, at the latest.
//
// Place: of the CPUs that it may use, in the L3 that it ran in last (a CCX): on the same core if
// that is idle, or else on the emptiest; if there is none, it waits `park` for one; then the same
// NUMA node, and then the rest. A sibling of a busy core is much slower for both, so that an idle
// core of the same L3 comes before what is left of its own.
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

struct Options {
  Duration slice = std::chrono::milliseconds(1);
  Duration park = std::chrono::microseconds(100);
  Duration credit = std::chrono::milliseconds(10);
  bool nearest = true;  // otherwise any CPU is as good as another, and nobody parks
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

  void Charge(Seeker& seeker);
  void GetInLine(Task& task, Time now);
  int64_t ElapsedAt(const Seeker& running, Time now) const;
  void Begin(EnclaveTransaction& txn, Time now);
  void Serve(Time now);
  bool Yields(const Seeker& running, const Seeker& waiting, Time now) const;
  int DistanceOf(const Seeker& waiting, int core, Time now) const;
  bool IsParked(const Seeker& waiting, Time now) const;

  const Options options_;
  std::vector<CpuSet> l3s_;  // the enclave's CPUs of each
  central::Board board_;
  central::Assigner assigner_;
  PerTask<Seeker> seekers_;
  RuntimeHeap waiting_;
  std::vector<Seeker*> passed_over_;  // room for Serve
  uint64_t next_number_ = 0;
  int64_t floor_ = 0;  // the least elapsed runtime of those that are not asleep
  Time scheduled_at_{};
  Time next_unparked_ = Time::max();
};

}  // namespace corral::search

#endif  // CORRAL_POLICIES_SEARCH_POLICY_H_
