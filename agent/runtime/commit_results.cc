// SPDX-License-Identifier: Apache-2.0
// AgentLoop, third part: what became of transactions. Every outcome is a value and leads to one of
// three reactions: done; something changed, so decide again now; or wait a little. No outcome ends
// the process by itself.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "agent/runtime/agent_loop.h"
#include "agent/runtime/loop_timing.h"

namespace corral {

using namespace loop_timing;

AgentLoop::Reaction AgentLoop::OnResult(const CoreTransaction& txn, int core, Time now) {
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    const size_t last = counters_.commit_states.size() - 1;
    ++counters_.commit_states[std::min<size_t>(txn.sibling(i).state, last)];
  }
  if (!txn.complete()) {
    ++counters_.failed_commits;
    Reaction reaction = OnCoreFailure(txn.state(), core);
    for (int i = 0; i < txn.nr_siblings(); ++i) {
      reaction = std::max(reaction, OnSiblingFailure(txn.sibling(i), core, now));
    }
    return reaction;
  }
  ++counters_.commits;
  backoff_ = kFirstBackoff;
  const Core& place = state_.topology().core(core);
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    const CoreTransaction::Sibling& sibling = txn.sibling(i);
    if (sibling.target == CoreTransaction::Target::kKeep) continue;
    occupants_.Put(place.cpu[i], sibling.task);
    if (sibling.task == nullptr) continue;
    sibling.task->state = TaskState::kOnCpu;
    sibling.task->cpu = place.cpu[i];
    sibling.task->from_status_word = false;
    sibling.task->settle_looks = 0;
    tracker_.Account(*sibling.task, now, now);
  }
  return Reaction::kDone;
}

AgentLoop::Reaction AgentLoop::OnCallFailure(const absl::Status& status) {
  ++counters_.failed_calls;
  switch (status.code()) {
    case absl::StatusCode::kPermissionDenied:
      return Reenter(self_);  // we stopped being an agent
    case absl::StatusCode::kFailedPrecondition:
      status_ = status;  // the class is gone
      return Reaction::kBackOff;
    default:
      return Reaction::kBackOff;
  }
}

AgentLoop::Reaction AgentLoop::OnSiblingFailure(const CoreTransaction::Sibling& sibling, int core,
                                                Time now) {
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
      return OnCoreFailure(sibling.state, core);
  }
}

AgentLoop::Reaction AgentLoop::OnCoreFailure(uint32_t txn_state, int core) {
  switch (txn_state) {
    case GHOST_TXN_NO_AGENT:
      return Reenter(core);
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
bool AgentLoop::Refused(Task& task, Time now) {
  const uint64_t barrier = task.barrier;
  const DomainId domain = task.domain;
  if (!Reconcile(task, now)) return false;
  const bool changed = task.barrier != barrier || task.domain != domain;
  if (changed || task.state != TaskState::kQueued) return false;
  NoteRefusal(task, Obstacle::kClass, now);
  return true;
}

}  // namespace corral
