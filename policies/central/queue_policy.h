// SPDX-License-Identifier: Apache-2.0
// What centralized policies with a queue have in common: which task waits, which one runs where.
// What is left for a policy to say is the order of those that wait, and who gives way to whom.
//
// Units: ns. Thread rules: as agent/runtime/policy.h says.
#ifndef CORRAL_POLICIES_CENTRAL_QUEUE_POLICY_H_
#define CORRAL_POLICIES_CENTRAL_QUEUE_POLICY_H_

#include "agent/runtime/policy.h"
#include "agent/runtime/task.h"
#include "agent/runtime/topology.h"
#include "policies/central/assigner.h"
#include "policies/central/board.h"

namespace corral::central {

class QueuePolicy : public CentralPolicy {
 public:
  void TaskNew(Task& task, Time now) final;
  void TaskWakeup(Task& task, Time) final { GetInLine(task); }
  void TaskYield(Task& task, Time) final { GetInLine(task); }
  // One that lost its CPU early in its slice has its turn still.
  void TaskPreempt(Task& task, Time now) final;
  void TaskBlocked(Task& task, Time now) final;
  void TaskOnCpu(Task& task, Time now) final;
  void TaskDeparted(Task& task, Time now) final { TaskBlocked(task, now); }
  void TaskAttributesChanged(Task& task, Time now) final;
  void Committed(int core, const CoreTransaction& txn, Time now) final;
  bool IsQueued(const Task& task) const final { return entries_[task].waiting.linked; }

 protected:
  QueuePolicy(const Topology& topology, uint32_t nr_slots)
      : board_(topology), assigner_(board_), entries_(nr_slots) {}

  // What kind of task it is (Entry::rank): asked when it comes, when it gets in line, when its
  // attributes change, and by RankAnew.
  virtual int RankOf(const Task&) const { return 0; }
  // Which CPUs may start such a task without being told, now that it gets in line.
  virtual Offer OfferOf(int) const { return Offer::kNone; }
  // For how long a task keeps a CPU that others of its rank wait for.
  virtual Duration Slice(int rank) const = 0;
  // Where those of a rank wait.
  virtual Queue& QueueOf(int rank) = 0;

  bool SliceOver(const Entry& running, Time now) const {
    return now >= running.SliceEnd(Slice(running.rank));
  }
  // In each Schedule, before anything else.
  void Begin(EnclaveTransaction& txn, Time now);
  // For kinds that change by themselves, without a word: of those that run, and of those that wait
  // in a queue. The latter get in line where they belong now.
  void RankAnew() {
    board_.ForEach([this](Entry& running) { running.rank = RankOf(*running.task); });
  }
  void RankAnew(const Queue& queue);
  // Those that wait in `queue` get what there is for them, in its order.
  void Serve(const Queue& queue, Assigner::Yields yields) { assigner_.Serve(queue, yields); }

  Board board_;

 private:
  void GetInLine(Task& task);
  void GoBackInLine(Task& task);

  Assigner assigner_;
  PerTask<Entry> entries_;
  uint64_t next_turn_ = 0;
};

}  // namespace corral::central

#endif  // CORRAL_POLICIES_CENTRAL_QUEUE_POLICY_H_
