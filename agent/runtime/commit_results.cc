// SPDX-License-Identifier: Apache-2.0
// PerCoreLoop, third part: what became of a transaction. Every outcome is a value and leads to one
// of three reactions: done; something changed, so decide again now; or wait a little. No outcome
// ends the process by itself.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "agent/runtime/loop_timing.h"
#include "agent/runtime/per_core_loop.h"

namespace corral {

using namespace loop_timing;

PerCoreLoop::Reaction PerCoreLoop::CommitOnce(Time now) {
  batch_.Clear();
  batch_.Add(txn_);
  const absl::Status status = kernel_.Commit(batch_.call());
  if (!status.ok()) return OnCallFailure(status, now);
  txn_.ReadResults(batch_.result(0));
  for (int i = 0; i < txn_.nr_siblings(); ++i) {
    const size_t last = counters_.commit_states.size() - 1;
    ++counters_.commit_states[std::min<size_t>(txn_.sibling(i).state, last)];
  }
  if (!txn_.complete()) {
    ++counters_.failed_commits;
    Reaction reaction = OnCoreFailure(txn_.state(), now);
    for (int i = 0; i < txn_.nr_siblings(); ++i) {
      reaction = std::max(reaction, OnSiblingFailure(i, now));
    }
    return reaction;
  }
  ++counters_.commits;
  for (int i = 0; i < txn_.nr_siblings(); ++i) {
    const CoreTransaction::Sibling& sibling = txn_.sibling(i);
    if (sibling.target == CoreTransaction::Target::kKeep) continue;
    occupants_.Put(i, sibling.task);
    if (sibling.task == nullptr) continue;
    sibling.task->state = TaskState::kOnCpu;
    sibling.task->cpu = place_.cpu[i];
    sibling.task->from_status_word = false;
    sibling.task->settle_looks = 0;
    tracker_.Account(*sibling.task, now, now);
  }
  policy_.Committed(txn_, now);
  return Reaction::kDone;
}

PerCoreLoop::Reaction PerCoreLoop::OnCallFailure(const absl::Status& status, Time) {
  ++counters_.failed_calls;
  switch (status.code()) {
    case absl::StatusCode::kPermissionDenied:
      return Reenter();  // we stopped being this core's agent
    case absl::StatusCode::kFailedPrecondition:
      status_ = status;  // the class is gone
      return Reaction::kBackOff;
    default:
      return Reaction::kBackOff;
  }
}

PerCoreLoop::Reaction PerCoreLoop::OnSiblingFailure(int index, Time now) {
  const CoreTransaction::Sibling& sibling = txn_.sibling(index);
  switch (sibling.state) {
    case GHOST_TXN_READY:
    case GHOST_TXN_COMPLETE:
    case GHOST_TXN_POISONED:  // another sibling's fault: the task waits as before
      return Reaction::kRetry;
    case GHOST_TXN_CPU_OFFLINE:  // just now: its state says so when it is looked at again
      return Reaction::kRetry;
    case GHOST_TXN_TARGET_STALE:
    case GHOST_TXN_TARGET_ONCPU:
    case GHOST_TXN_TARGET_NOT_FOUND:
    case GHOST_TXN_TARGET_NOT_RUNNABLE:
    case GHOST_TXN_INVALID_TARGET:
    case GHOST_TXN_NOT_PERMITTED:
    case GHOST_TXN_ABORTED:
      if (sibling.target != CoreTransaction::Target::kRun) return Reaction::kBackOff;
      return Refused(*sibling.task, now) ? Reaction::kBackOff : Reaction::kRetry;
    default:
      return OnCoreFailure(sibling.state, now);
  }
}

PerCoreLoop::Reaction PerCoreLoop::OnCoreFailure(uint32_t txn_state, Time) {
  switch (txn_state) {
    case GHOST_TXN_NO_AGENT:
      return Reenter();
    case GHOST_TXN_UNSUPPORTED_VERSION:
      status_ = absl::FailedPreconditionError(
          absl::StrCat("the class does not accept ABI ", GHOST_ABI_VERSION,
                       " any more; start the agent of the class's version"));
      return Reaction::kBackOff;
    case GHOST_TXN_READY:          // the class did not look at it
    case GHOST_TXN_INVALID_FLAGS:  // ours or the class's bug; counted, and retried slowly
    case GHOST_TXN_INVALID_CPU:
      return Reaction::kBackOff;
    default:
      return Reaction::kRetry;  // CPU_UNAVAIL, AGENT_STALE; the siblings tell more about the others
  }
}

// True if the status word gives no reason for the refusal: then the task itself is what cannot be
// committed now.
bool PerCoreLoop::Refused(Task& task, Time now) {
  const uint64_t barrier = task.barrier;
  const DomainId domain = task.domain;
  if (!Reconcile(task, now)) return false;
  const bool changed = task.barrier != barrier || task.domain != domain;
  if (changed || task.state != TaskState::kQueued) return false;
  NoteRefusal(task, Obstacle::kClass, now);
  return true;
}

PerCoreLoop::Reaction PerCoreLoop::Reenter() {
  const absl::Status status = Enter();
  switch (status.code()) {
    case absl::StatusCode::kOk:
      ++counters_.reentered;
      return Reaction::kRetry;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAlreadyExists:
      status_ = status;
      return Reaction::kBackOff;
    default:
      return Reaction::kBackOff;
  }
}

}  // namespace corral
