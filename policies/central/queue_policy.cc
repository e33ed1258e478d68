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
  if (entry.waiting.linked) return;
  entry.rank = RankOf(task);
  task.offer = OfferOf(entry.rank);
  entry.turn = next_turn_++;
  entry.used = Duration(0);
  QueueOf(entry.rank).PushBack(entry);
}

void QueuePolicy::GoBackInLine(Task& task) {
  Entry& entry = entries_[task];
  board_.TakeOff(entry);
  entry.rank = RankOf(task);
  task.offer = OfferOf(entry.rank);
  InsertByTurn(QueueOf(entry.rank), entry);
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

void QueuePolicy::RankAnew(const Queue& queue) {
  for (Entry* entry = queue.front(); entry != nullptr;) {
    Entry* const next = Queue::Next(*entry);
    TaskAttributesChanged(*entry->task, {});
    entry = next;
  }
}

void QueuePolicy::Committed(int core, const CoreTransaction& txn, Time now) {
  board_.Follow(core, txn, now, [this](Task& task) -> Entry& {
    Entry& entry = entries_[task];
    QueueOf(entry.rank).Erase(entry);
    return entry;
  });
}

void QueuePolicy::Begin(EnclaveTransaction& txn, Time now) {
  assigner_.Begin(txn);
  for (int c = 0; c < txn.nr_cores(); ++c) {
    for (int i = 0; i < txn.core(c).nr_siblings(); ++i) {
      board_.SetPaused(c, i, !txn.core(c).usable(i), now);
    }
  }
}

}  // namespace corral::central
