// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/trivial_fifo.h"

#include "absl/strings/str_cat.h"

namespace corral::bench {

TrivialFifo::TrivialFifo(AgentKernel& kernel, MessageQueue& queue, int nr_cores, int nr_siblings)
    : kernel_(kernel),
      queue_(queue),
      nr_cores_(nr_cores),
      nr_siblings_(nr_siblings),
      tasks_(kernel.info().nr_slots),
      entries_(kernel.info().nr_slots),
      tracker_(kernel, *this, counters_) {}

void TrivialFifo::Adopt(Gtid task) {
  const uint32_t slot = GHOST_GTID_SLOT(task.value());
  tracker_.Adopt(tasks_[slot], tracker_.Read(slot), kernel_.Now());
}

void TrivialFifo::Receive() {
  const Time now = kernel_.Now();
  queue_.Drain([&](const ghost_msg& message) {
    const uint32_t slot = GHOST_GTID_SLOT(message.gtid);
    if (slot >= tasks_.size() || tasks_[slot].gtid != Gtid(message.gtid)) return;
    tracker_.Apply(tasks_[slot], message, now);
  });
}

absl::Status TrivialFifo::Decide(int cores_per_commit) {
  batch_.Clear();
  int pending = 0;
  for (int core = 0; core < nr_cores_ && Fill(core); ++core) {
    if (!batch_.Add(txn_)) return absl::InternalError("a commit has no room for a transaction");
    ++pending;
    if (cores_per_commit == 0 || pending < cores_per_commit) continue;
    if (const absl::Status status = Commit(); !status.ok()) return status;
    pending = 0;
  }
  return cores_per_commit == 0 || pending == 0 ? absl::OkStatus() : Commit();
}

// False when no task is left for the core.
bool TrivialFifo::Fill(int core) {
  txn_.Reset(CoreId(core), nr_siblings_, (1u << nr_siblings_) - 1);
  DomainId domain{0};
  for (int i = 0; i < nr_siblings_; ++i) {
    Entry* const head = waiting_.front();
    if (head == nullptr || (i > 0 && head->task->domain != domain)) break;
    Task& task = *head->task;
    waiting_.Erase(*head);
    // The message may be older than what the class knows by now.
    const ghost_status_word word = tracker_.Read(task.slot);
    if (word.barrier != task.barrier || !(word.flags & GHOST_SW_RUNNABLE)) break;
    domain = task.domain;
    task.state = TaskState::kOnCpu;
    txn_.Run(i, task);
    ++decisions_;
  }
  return !txn_.empty();
}

absl::Status TrivialFifo::Commit() {
  ghost_commit& call = batch_.call();
  const absl::Status status = kernel_.Commit(call);
  if (status.ok() && call.completed != call.nr) {
    return absl::InternalError(
        absl::StrCat(call.completed, " of ", call.nr, " transactions were completed"));
  }
  batch_.Clear();
  return status;
}

void TrivialFifo::TaskNew(Task& task, Time) {
  entries_[task].task = &task;
  if (task.state == TaskState::kQueued) Wait(task);
}

}  // namespace corral::bench
