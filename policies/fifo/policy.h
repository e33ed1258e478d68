// SPDX-License-Identifier: Apache-2.0
// First in, first out: each core serves the tasks that were placed on it in the order in which they
// became runnable.
//
// A task runs until it blocks or until its slice is over while another one waits; then it goes to
// the end of the queue. Tasks of different trust domains never share a core, whatever the policy:
// where the head of the queue belongs to another domain than what runs, nobody behind it overtakes,
// the siblings run dry, and the head's domain takes over. Likewise, nobody overtakes a head that
// waits for the siblings that its affinity lets it use. Source: ghOSt's per-CPU FIFO, with a
// physical core in place of a CPU.
//
// Units: ns. Thread rules: as agent/runtime/policy.h says.
#ifndef CORRAL_POLICIES_FIFO_POLICY_H_
#define CORRAL_POLICIES_FIFO_POLICY_H_

#include <array>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "agent/runtime/list.h"
#include "agent/runtime/options.h"
#include "agent/runtime/policy.h"
#include "agent/runtime/topology.h"

namespace corral::fifo {

struct Options {
  // For how long a task keeps a CPU that another one waits for.
  Duration slice = std::chrono::milliseconds(10);
};

absl::Span<const OptionSpec> OptionTable();
// `values` were validated against OptionTable().
Options ReadOptions(const OptionValues& values);

// A task on its core.
struct Entry {
  Task* task = nullptr;
  int sibling = -1;  // where it runs by our decision
  Time since{};
  ListHook<Entry> waiting;
};

class CoreFifo final : public CorePolicy {
 public:
  CoreFifo(const Core& core, const Options& options, PerTask<Entry>& entries)
      : core_(core), options_(options), entries_(entries) {}

  void TaskNew(Task& task, Time now) override;
  void TaskWakeup(Task& task, Time now) override { Wait(task, now); }
  void TaskPreempt(Task& task, Time now) override { Wait(task, now); }
  void TaskBlocked(Task& task, Time now) override;
  void TaskOnCpu(Task& task, Time now) override;
  void TaskDeparted(Task& task, Time now) override { TaskBlocked(task, now); }

  void Schedule(Time now, CoreTransaction& txn) override;
  void Committed(const CoreTransaction& txn, Time now) override;
  Time NextDeadline() const override;
  bool IsQueued(const Task& task) const override { return entries_[task].waiting.linked; }

 private:
  void Wait(Task& task, Time now);
  void LeaveSibling(Entry& entry);
  void TakeSibling(Entry& entry, int sibling, Time now);
  bool Stays(int sibling, Time now) const;

  const Core core_;
  const Options options_;
  PerTask<Entry>& entries_;
  List<Entry, &Entry::waiting> queue_;
  std::array<Entry*, GHOST_MAX_SIBLINGS> running_{};
};

class FifoPolicy final : public PerCorePolicy {
 public:
  FifoPolicy(const Topology& topology, uint32_t nr_slots, const Options& options)
      : topology_(topology), options_(options), entries_(nr_slots), load_(topology.nr_cores()) {}

  std::unique_ptr<CorePolicy> MakeCore(int core) override {
    return std::make_unique<CoreFifo>(topology_.core(core), options_, entries_);
  }
  // The core with the fewest tasks, of those that it may use.
  int PlaceTask(const PlacementRequest& task) override;
  void TaskPlaced(const PlacementRequest&, int core) override { ++load_[core]; }
  void TaskUnplaced(const PlacementRequest&, int core) override { --load_[core]; }

 private:
  const Topology topology_;
  const Options options_;
  PerTask<Entry> entries_;
  std::vector<int> load_;
};

}  // namespace corral::fifo

#endif  // CORRAL_POLICIES_FIFO_POLICY_H_
