// SPDX-License-Identifier: Apache-2.0
// The least agent: one FIFO of all tasks, and each core in turn gets as many from its head as it
// has siblings.
//
// Made of the runtime's own parts: message queue, task records, tracker, transactions. One thread.
#ifndef CORRAL_TESTS_BENCH_TRIVIAL_FIFO_H_
#define CORRAL_TESTS_BENCH_TRIVIAL_FIFO_H_

#include "absl/status/status.h"
#include "agent/runtime/task.h"
#include "agent/runtime/task_tracker.h"
#include "agent/runtime/transaction.h"
#include "kernel/ghost_kernel.h"

namespace corral::bench {

class TrivialFifo final : public TaskEvents {
 public:
  // Knows no task yet. Both must outlive it; `nr_cores` cores of `nr_siblings` are its own.
  TrivialFifo(AgentKernel& kernel, MessageQueue& queue, int nr_cores, int nr_siblings);

  // Takes in the task, whatever it does now.
  void Adopt(Gtid task);
  // Reads all messages.
  void Receive();
  // A transaction for each core, as long as there are tasks, and as many per call as
  // `cores_per_commit`; 0: they are written, but not committed. Internal: not all were completed.
  absl::Status Decide(int cores_per_commit);

  // CPUs that were given a task so far.
  int decisions() const { return decisions_; }

  void TaskNew(Task& task, Time) override;
  void TaskWakeup(Task& task, Time) override { Wait(task); }
  void TaskBlocked(Task& task, Time) override { waiting_.Erase(entries_[task]); }
  void TaskPreempt(Task& task, Time) override { Wait(task); }
  void TaskOnCpu(Task& task, Time) override { waiting_.Erase(entries_[task]); }
  void TaskDeparted(Task& task, Time) override { waiting_.Erase(entries_[task]); }

 private:
  struct Entry {
    Task* task = nullptr;
    ListHook<Entry> hook;
  };

  void Wait(Task& task) { waiting_.PushBack(entries_[task]); }
  bool Fill(int core);
  absl::Status Commit();

  AgentKernel& kernel_;
  MessageQueue& queue_;
  const int nr_cores_;
  const int nr_siblings_;
  LoopCounters counters_;
  TaskTable tasks_;
  PerTask<Entry> entries_;
  TaskTracker tracker_;
  List<Entry, &Entry::hook> waiting_;
  CoreTransaction txn_;
  CommitBatch batch_;
  int decisions_ = 0;
};

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_TRIVIAL_FIFO_H_
