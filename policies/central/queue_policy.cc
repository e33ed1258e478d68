// SPDX-License-Identifier: Apache-2.0
#include "policies/central/queue_policy.h"

namespace corral::central {

void QueuePolicy::TaskNew(Task& task, Time now) {
  Entry& entry = entries_[task];
  entry = Entry{.task = &task, .rank = RankOf(task)};
  if (task.state == TaskState::kQueued) GetInLine(task);
  if (task.state == TaskState::kOnCpu) TaskOnCpu(task, now);
}

void QueuePolicy::GetInLine(Task& task) {
  Entry& entry = entries_[task];
  board_.TakeOff(entry);
  Queue& queue = QueueOf(entry.rank);
  if (entry.waiting.linked) return;
  task.offer = OfferOf(entry.rank);
  entry.turn = next_turn_++;
  entry.used = Duration(0);
  queue.PushBack(entry);
}

void QueuePolicy::GoBackInLine(Task& task) {
  Entry& entry = entries_[task];
  board_.TakeOff(entry);
  Queue& queue = QueueOf(entry.rank);
  task.offer = OfferOf(entry.rank);
  Entry* next = queue.front();
  while (next != nullptr && next->turn < entry.turn) next = Queue::Next(*next);
  queue.InsertBefore(next, entry);
}

void QueuePolicy::TaskPreempt(Task& task, Time) {
  Entry& entry = entries_[task];
  // By its CPU time: behind a thread of another class it has a CPU and does not run.
  entry.used += task.runtime - entry.had;
  entry.had = task.runtime;
  // What is left of most of a slice is not worth a switch.
  if (entry.used * 2 >= Slice(entry.rank)) return GetInLine(task);
  GoBackInLine(task);
}

void QueuePolicy::TaskBlocked(Task& task, Time) {
  Entry& entry = entries_[task];
  board_.TakeOff(entry);
  QueueOf(entry.rank).Erase(entry);
}

void QueuePolicy::TaskOnCpu(Task& task, Time now) {
  Entry& entry = entries_[task];
  QueueOf(entry.rank).Erase(entry);
  board_.Put(entry, task.cpu, now);
}

// It gets in line again where it belongs now.
void QueuePolicy::TaskAttributesChanged(Task& task, Time) {
  Entry& entry = entries_[task];
  const int rank = RankOf(task);
  if (rank == entry.rank) return;
  const bool waits = entry.waiting.linked;
  QueueOf(entry.rank).Erase(entry);
  entry.rank = rank;
  if (waits) GetInLine(task);
}

void QueuePolicy::Committed(int core, const CoreTransaction& txn, Time now) {
  // The task that was there waits again once the class has told that it lost its CPU.
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    Entry* const running = board_.at(core, i);
    if (running == nullptr || txn.sibling(i).target == CoreTransaction::Target::kKeep) continue;
    board_.TakeOff(*running);
  }
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    if (txn.sibling(i).target != CoreTransaction::Target::kRun) continue;
    Entry& entry = entries_[*txn.sibling(i).task];
    QueueOf(entry.rank).Erase(entry);
    board_.Put(entry, core, i, now);
  }
}

void QueuePolicy::Begin(EnclaveTransaction& txn, Time now) {
  assigner_.Begin(txn);
  for (int c = 0; c < txn.nr_cores(); ++c) {
    for (int i = 0; i < txn.core(c).nr_siblings(); ++i) {
      board_.SetPaused(c, i, !txn.core(c).usable(i), now);
    }
  }
}

void QueuePolicy::Serve(const Queue& queue, Assigner::Yields yields) {
  for (const Entry* entry = queue.front(); entry != nullptr; entry = Queue::Next(*entry)) {
    if (!assigner_.Place(*entry, yields) && assigner_.hopeless()) return;
  }
}

}  // namespace corral::central
