// SPDX-License-Identifier: Apache-2.0
// The turn of a loop, and what comes in. Which tasks are ours: task_custody.cc. What becomes of
// commits: commit_results.cc.
#include "agent/runtime/agent_loop.h"

#include <algorithm>
#include <utility>

#include "agent/runtime/loop_timing.h"

namespace corral {

using namespace loop_timing;

namespace {

std::vector<CpuId> CpusOf(const EnclaveState& state, const std::vector<int>& cores) {
  std::vector<CpuId> cpus;
  for (const int core : cores) {
    const Core& place = state.topology().core(core);
    cpus.insert(cpus.end(), place.cpu.begin(), place.cpu.begin() + place.nr_cpus);
  }
  return cpus;
}

}  // namespace

AgentLoop::AgentLoop(EnclaveState& state, int self, std::vector<int> cores, LoopPolicy& policy)
    : state_(state),
      kernel_(state.kernel()),
      self_(self),
      cores_(std::move(cores)),
      policy_(policy),
      tracker_(kernel_, policy, counters_),
      occupants_(CpusOf(state, cores_)),
      seen_overflows_(cores_.size()),
      backoff_(kFirstBackoff) {}

Time AgentLoop::Step(Time now) {
  ++counters_.steps;
  if (!started_) {
    started_ = true;
    self_check_at_ = now + kSelfCheck;
    for (size_t i = 0; i < cores_.size(); ++i)
      seen_overflows_[i] = state_.queue(cores_[i]).overflows();
    // A first start and a takeover are the same: whatever is there is found here.
    Discover();
  }
  retry_at_ = Time::max();
  LookAtCpus(now);
  Receive(now);
  Unpark(now);
  HouseKeep(now);
  CheckInTime(now);
  Decide(now);
  has_begun_.store(true, std::memory_order_release);
  return Deadline(now);
}

void AgentLoop::Receive(Time now) {
  for (size_t i = 0; i < cores_.size(); ++i) {
    MessageQueue& queue = state_.queue(cores_[i]);
    counters_.messages += queue.Drain([&](const ghost_msg& m) { OnMessage(m, now); });
    // After the drain: a queue that overflows later is full again, and wakes us.
    const uint64_t overflows = queue.overflows();
    if (overflows == seen_overflows_[i]) continue;
    counters_.overflows += overflows - seen_overflows_[i];
    seen_overflows_[i] = overflows;
    rescan_ = true;
  }
  // Looking at a slot may post another one to us. What is left after some rounds is for the next
  // turn.
  SlotMailbox& mailbox = state_.mailbox(self_);
  for (int round = 0; round < kRounds && !mailbox.empty(); ++round) {
    mailbox.TakeAll([&](uint32_t slot) { LookAt(slot, now); });
  }
  if (!rescan_) return;
  rescan_ = false;
  Rescan(now);
}

void AgentLoop::OnMessage(const ghost_msg& message, Time now) {
  Stir();
  if (message.gtid == 0) return OnCpuMessage(message, now);
  const uint32_t slot = GHOST_GTID_SLOT(message.gtid);
  if (slot >= state_.tasks().size()) {
    ++counters_.malformed_messages;
    return;
  }
  const int owner = state_.tasks().owner(slot);
  if (owner != self_) return OnStranger(message, slot, owner, now);
  Task& task = state_.tasks()[slot];
  // Not adopted yet, or another incarnation: the status word knows.
  if (task.state == TaskState::kNone || task.gtid != Gtid(message.gtid))
    return OnStranger(message, slot, owner, now);
  OnTaskMessage(task, message, now);
}

void AgentLoop::OnCpuMessage(const ghost_msg& message, Time now) {
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

void AgentLoop::OnTaskMessage(Task& task, const ghost_msg& message, Time now) {
  switch (tracker_.Apply(task, message, now)) {
    case TaskTracker::Outcome::kTaken:
      occupants_.Put(task.cpu, &task);
      [[fallthrough]];
    case TaskTracker::Outcome::kOk:
      // Nothing hides a task from the policy but parking, and a parked task that blocked is
      // blocked.
      if (task.state != TaskState::kParked) parked_.Erase(task);
      Updated(task);
      TellOffer(task);
      Bar(task, now);
      if (message.type == GHOST_MSG_TASK_YIELD && message.arg != 0)
        OnDirectedYield(task, message, now);
      GiveIfWanted(task, now);
      return;
    case TaskTracker::Outcome::kGone:
      return Release(task.slot);
    case TaskTracker::Outcome::kLatchFailure:
      ++counters_.latch_failures;
      NoteRefusal(task, Obstacle::kCpus, now);
      Bar(task, now);
      GiveIfWanted(task, now);
      return;
    case TaskTracker::Outcome::kLook:
      Reconcile(task, now);
      return;
  }
}

void AgentLoop::OnDirectedYield(Task& task, const ghost_msg& message, Time now) {
  Favour(Gtid(message.arg), now);
  if ((message.flags & GHOST_MSG_F_OFFERED) != 0)
    policy_.TaskReplaced(task, CpuId(message.cpu), now);
}

// What is not ours, or does not wait any more, needs no favour.
void AgentLoop::Favour(Gtid gtid, Time now) {
  const uint32_t slot = GHOST_GTID_SLOT(gtid.value());
  if (slot >= state_.tasks().size() || state_.tasks().owner(slot) != self_) return;
  Task& task = state_.tasks()[slot];
  if (task.gtid == gtid && task.state == TaskState::kQueued) policy_.TaskFavoured(task, now);
}

void AgentLoop::LookAt(uint32_t slot, Time now) {
  Stir();
  Consider(slot);
  if (state_.tasks().owner(slot) != self_) return;
  Task& task = state_.tasks()[slot];
  if (task.state == TaskState::kNone) {
    Adopt(slot, now);
    if (state_.tasks().owner(slot) != self_ || task.state == TaskState::kNone) return;
    GiveIfWanted(task, now);
  } else {
    Reconcile(task, now);
  }
}

void AgentLoop::CheckInTime(Time now) {
  if (now >= std::min({settle_at_, adopt_again_at_, self_check_at_})) Stir();
  if (now >= settle_at_) Settle(now);
  if (now >= adopt_again_at_) AdoptAgain(now);
  if (now >= self_check_at_) {
    self_check_at_ = now + kSelfCheck;
    SelfCheck(now);
  }
}

void AgentLoop::BackOff(Time now) {
  retry_at_ = std::min(retry_at_, now + backoff_);
  backoff_ = std::min(backoff_ * 2, kLastBackoff);
}

Time AgentLoop::Deadline(Time now) const {
  Time at = policy_.NextDeadline();
  // What was due and could not be done is tried again after the back-off, not at once.
  if (at <= now) at = retry_at_ == Time::max() ? now + kLastBackoff : retry_at_;
  at = std::min({at, retry_at_, adopt_again_at_, settle_at_, self_check_at_, OwnDeadline(now)});
  for (const Task* t = parked_.front(); t != nullptr; t = parked_.Next(*t)) {
    at = std::min(at, t->parked_until);
  }
  return state_.mailbox(self_).empty() ? at : now;
}

}  // namespace corral
