// SPDX-License-Identifier: Apache-2.0
// The turn of the loop, and what comes in. Who owns which task: task_custody.cc. What becomes of
// commits: commit_results.cc.
#include "agent/runtime/per_core_loop.h"

#include <algorithm>

#include "agent/runtime/loop_timing.h"

namespace corral {

using namespace loop_timing;

PerCoreLoop::PerCoreLoop(EnclaveState& state, int core, CorePolicy& policy, Lead* lead)
    : state_(state),
      kernel_(state.kernel()),
      core_(core),
      place_(state.topology().core(core)),
      policy_(policy),
      lead_(lead),
      tracker_(kernel_, policy, counters_),
      occupants_(place_),
      backoff_(kFirstBackoff),
      online_(place_.SiblingsIn(place_.siblings)) {}

absl::Status PerCoreLoop::Enter() { return kernel_.EnterAgent(place_.id); }

absl::Status PerCoreLoop::Leave() { return kernel_.LeaveAgent(place_.id); }

absl::Status PerCoreLoop::Run(const std::atomic<bool>& stop) {
  while (!stop.load(std::memory_order_acquire) && status_.ok()) {
    const Time deadline = Step(kernel_.Now());
    if (status_.ok()) state_.queue(core_).Wait(deadline);
  }
  return status_;
}

Time PerCoreLoop::Step(Time now) {
  ++counters_.steps;
  if (!started_) {
    started_ = true;
    self_check_at_ = now + kSelfCheck;
    seen_overflows_ = state_.queue(core_).overflows();
    // A first start and a takeover are the same: whatever is there is found here.
    if (lead_ != nullptr) lead_->Discover();
  }
  retry_at_ = Time::max();
  LookAtCpus(now);
  Receive(now);
  Housekeeping(now);
  Decide(now);
  return Deadline(now);
}

void PerCoreLoop::Receive(Time now) {
  MessageQueue& queue = state_.queue(core_);
  counters_.messages += queue.Drain([&](const ghost_msg& m) { OnMessage(m, now); });
  // After the drain: a queue that overflows later is full again, and wakes us.
  const uint64_t overflows = queue.overflows();
  if (overflows != seen_overflows_) {
    counters_.overflows += overflows - seen_overflows_;
    seen_overflows_ = overflows;
    rescan_ = true;
  }
  // Looking at a slot may post another one to us. What is left after some rounds is for the next
  // turn.
  SlotMailbox& mailbox = state_.mailbox(core_);
  for (int round = 0; round < kRounds && !mailbox.empty(); ++round) {
    mailbox.TakeAll([&](uint32_t slot) { LookAt(slot, now); });
  }
  if (!rescan_) return;
  rescan_ = false;
  Rescan(now);
}

void PerCoreLoop::OnMessage(const ghost_msg& message, Time now) {
  if (message.gtid == 0) return OnCpuMessage(message, now);
  const uint32_t slot = GHOST_GTID_SLOT(message.gtid);
  if (slot >= state_.tasks().size()) {
    ++counters_.malformed_messages;
    return;
  }
  const int owner = state_.tasks().owner(slot);
  if (owner != core_) return PassOn(message, slot, owner);
  Task& task = state_.tasks()[slot];
  if (task.state == TaskState::kNone || task.gtid != Gtid(message.gtid)) {
    // Not adopted yet, or another incarnation: the status word knows.
    if (message.type == GHOST_MSG_TASK_NEW && lead_ != nullptr) {
      lead_->Consider(slot, Gtid(message.gtid));
    } else {
      state_.Post(core_, core_, slot);
    }
    return;
  }
  OnTaskMessage(task, message, now);
}

void PerCoreLoop::OnCpuMessage(const ghost_msg& message, Time now) {
  const CpuId cpu(message.cpu);
  switch (message.type) {
    case GHOST_MSG_CORE_RESCUED:
      rescan_ = true;  // the class moved tasks of ours without asking
      return;
    case GHOST_MSG_CPU_TIMER_EXPIRED:
      return policy_.CpuTimerExpired(cpu, message.arg, now);
    case GHOST_MSG_CPU_TICK:
      return policy_.CpuTick(cpu, now);
    case GHOST_MSG_CPU_NOT_IDLE:
      return policy_.CpuNotIdle(cpu, now);
    case GHOST_MSG_CPU_AVAILABLE:
      return policy_.CpuAvailable(cpu, now);
    case GHOST_MSG_CPU_BUSY:
      return policy_.CpuBusy(cpu, now);
    case GHOST_MSG_CORE_YIELDED_TO:
      return Favour(Gtid(message.arg), now);
    default:
      ++counters_.malformed_messages;
  }
}

void PerCoreLoop::OnTaskMessage(Task& task, const ghost_msg& message, Time now) {
  switch (tracker_.Apply(task, message, now)) {
    case TaskTracker::Outcome::kTaken:
      if (const int sibling = place_.SiblingOf(task.cpu); sibling >= 0)
        occupants_.Put(sibling, &task);
      [[fallthrough]];
    case TaskTracker::Outcome::kOk:
      // Nothing hides a task from the policy but parking, and a parked task that blocked is
      // blocked.
      if (task.state != TaskState::kParked) parked_.Erase(task);
      TellLead(task);
      TellOffer(task);
      Bar(task, now);
      if (message.type == GHOST_MSG_TASK_YIELD && message.arg != 0)
        OnDirectedYield(task, message, now);
      return GiveIfWanted(task, now);
    case TaskTracker::Outcome::kGone:
      return Release(task.slot);
    case TaskTracker::Outcome::kLatchFailure:
      ++counters_.latch_failures;
      NoteRefusal(task, Obstacle::kCpus, now);
      Bar(task, now);
      return GiveIfWanted(task, now);
    case TaskTracker::Outcome::kLook:
      Reconcile(task, now);
      return;
  }
}

void PerCoreLoop::OnDirectedYield(Task& task, const ghost_msg& message, Time now) {
  const Gtid favoured(message.arg);
  const uint32_t slot = GHOST_GTID_SLOT(favoured.value());
  const bool replaced = (message.flags & GHOST_MSG_F_OFFERED) != 0;
  if (slot < state_.tasks().size() && state_.tasks().owner(slot) == core_) {
    Favour(favoured, now);
  } else if (replaced && task.state == TaskState::kQueued) {
    task.cpu = CpuId(message.cpu);
    policy_.TaskReplaced(task, now);
  }
}

// What is not ours, or does not wait any more, needs no favour.
void PerCoreLoop::Favour(Gtid gtid, Time now) {
  const uint32_t slot = GHOST_GTID_SLOT(gtid.value());
  if (slot >= state_.tasks().size() || state_.tasks().owner(slot) != core_) return;
  Task& task = state_.tasks()[slot];
  if (task.gtid == gtid && task.state == TaskState::kQueued) policy_.TaskFavoured(task, now);
}

// The message came to the queue that the task had before, or the task is new.
void PerCoreLoop::PassOn(const ghost_msg& message, uint32_t slot, int owner) {
  ++counters_.forwarded_messages;
  const bool is_new = message.type == GHOST_MSG_TASK_NEW;
  if (lead_ != nullptr && (is_new || owner == TaskTable::kNobody)) {
    --counters_.forwarded_messages;
    return lead_->Consider(slot, is_new ? Gtid(message.gtid) : Gtid(0));
  }
  state_.Post(core_, owner == TaskTable::kNobody ? state_.lead() : owner, slot);
}

void PerCoreLoop::LookAt(uint32_t slot, Time now) {
  if (lead_ != nullptr) lead_->Consider(slot);
  if (state_.tasks().owner(slot) != core_) return;
  Task& task = state_.tasks()[slot];
  if (task.state == TaskState::kNone) {
    Adopt(slot, now);
    if (state_.tasks().owner(slot) != core_ || task.state == TaskState::kNone) return;
  } else if (!Reconcile(task, now)) {
    return;
  }
  GiveIfWanted(task, now);
}

void PerCoreLoop::Housekeeping(Time now) {
  Unpark(now);
  if (lead_ != nullptr) {
    lead_->JudgeAgain();
    lead_->Spread(now);
  }
  if (now >= settle_at_) Settle(now);
  if (now >= adopt_again_at_) AdoptAgain(now);
  if (now >= self_check_at_) {
    self_check_at_ = now + kSelfCheck;
    SelfCheck(now);
  }
}

void PerCoreLoop::Decide(Time now) {
  for (int round = 0; round < kRounds && status_.ok(); ++round) {
    LookAtCpus(now);
    if (online_ == 0) return;
    txn_.Reset(place_.id, place_.nr_cpus, online_);
    for (int i = 0; i < place_.nr_cpus; ++i) {
      if (Task* const task = occupants_.at(i); task != nullptr) tracker_.ReadRuntime(*task, now);
    }
    policy_.Schedule(now, txn_);
    const uint32_t deserted = occupants_.Deserted();
    for (int i = 0; i < place_.nr_cpus; ++i) {
      const bool kept = txn_.sibling(i).target == CoreTransaction::Target::kKeep;
      const Task* const task = occupants_.at(i);
      const bool leaves = task != nullptr && WantedElsewhere(*task) != TaskTable::kNobody;
      if (kept && txn_.usable(i) && (leaves || ((deserted >> i) & 1))) txn_.Idle(i);
    }
    if (txn_.empty()) return;
    const Reaction reaction = CommitOnce(now);
    if (reaction == Reaction::kDone) {
      backoff_ = kFirstBackoff;
      return;
    }
    if (reaction == Reaction::kBackOff) break;
    Receive(now);
  }
  retry_at_ = std::min(retry_at_, now + backoff_);
  backoff_ = std::min(backoff_ * 2, kLastBackoff);
}

Time PerCoreLoop::Deadline(Time now) const {
  Time at = policy_.NextDeadline();
  // What was due and could not be done is tried again after the back-off, not at once.
  if (at <= now) at = retry_at_ == Time::max() ? now + kLastBackoff : retry_at_;
  at = std::min({at, retry_at_, adopt_again_at_, settle_at_, self_check_at_});
  if (lead_ != nullptr) at = std::min(at, lead_->next_spread());
  for (const Task* t = parked_.front(); t != nullptr; t = parked_.Next(*t)) {
    at = std::min(at, t->parked_until);
  }
  // Nobody tells that a CPU is back.
  const bool whole = online_ == place_.SiblingsIn(place_.siblings);
  if (!whole && !owned_.empty()) at = std::min(at, now + kOffline);
  return state_.mailbox(core_).empty() ? at : now;
}

}  // namespace corral
