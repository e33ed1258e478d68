// SPDX-License-Identifier: Apache-2.0
// AgentLoop, second part: which tasks are ours, and how we make sure that none gets lost.
#include <algorithm>

#include "agent/runtime/agent_loop.h"
#include "agent/runtime/loop_timing.h"

namespace corral {

using namespace loop_timing;

// The slot is ours and its record empty. Messages of the task go to our queue before its status
// word is read for the record, so what is not in the one comes by the other.
void AgentLoop::Adopt(uint32_t slot, Time now) {
  for (int attempt = 0; attempt < 8; ++attempt) {
    ghost_status_word word = tracker_.Read(slot);
    if (!tracker_.IsOurs(word)) return Release(slot);
    const bool visits = word.offer > GHOST_OFFER_CORE;
    if ((word.flags & GHOST_SW_ONCPU) &&
        GoesWithCpu(state_.tasks()[slot], CpuId(word.cpu), visits, now))
      return;
    const absl::Status status = AssociateToUs(word);
    if (status.code() == absl::StatusCode::kAborted) continue;
    if (status.code() == absl::StatusCode::kNotFound) return Release(slot);
    if (!status.ok()) break;
    word = tracker_.Read(slot);
    if (!tracker_.IsOurs(word)) return Release(slot);
    Task& task = state_.tasks()[slot];
    owned_.PushBack(task);
    ++counters_.adopted;
    tracker_.Adopt(task, word, now);
    Adopted(task, now);
    Updated(task);
    TellOffer(task);
    Bar(task, now);
    if (task.state == TaskState::kOnCpu) {
      NoteOnCpu(task);
      settle_at_ = std::min(settle_at_, now + kSettle);
    }
    return;
  }
  ++counters_.association_failures;
  adopt_again_at_ = std::min(adopt_again_at_, now + kLastBackoff);
}

// Slots that are ours while their records are empty: association failed. Rare, so there is no list
// of them.
void AgentLoop::AdoptAgain(Time now) {
  adopt_again_at_ = Time::max();
  TaskTable& tasks = state_.tasks();
  for (uint32_t slot = 0; slot < tasks.size(); ++slot) {
    if (tasks.owner(slot) == self_ && tasks[slot].state == TaskState::kNone) Adopt(slot, now);
  }
}

absl::Status AgentLoop::AssociateToUs(const ghost_status_word& word) {
  const QueueId ours = state_.queue_id(self_);
  if (word.queue == ours.value()) return absl::OkStatus();
  return kernel_.Associate(Gtid(word.gtid), word.barrier, ours).status();
}

bool AgentLoop::Reconcile(Task& task, Time now) {
  if (tracker_.Reconcile(task, now) == TaskTracker::Outcome::kGone) {
    Release(task.slot);
    return false;
  }
  Updated(task);
  TellOffer(task);
  if (task.state != TaskState::kParked) parked_.Erase(task);
  Bar(task, now);
  if (task.settle_looks > 0) settle_at_ = std::min(settle_at_, now + kSettle);
  if (task.state != TaskState::kOnCpu) return !GiveIfWanted(task, now);
  if (GoesWithCpu(task, task.cpu, task.told_offer > Offer::kCore, now)) return false;
  NoteOnCpu(task);
  return true;
}

// An offer that is revoked too late has been taken; a message says so.
void AgentLoop::TellOffer(Task& task) {
  if (task.told_offer == task.offer) return;
  const absl::Status status = kernel_.OfferTask(task.gtid, task.offer);
  if (status.ok() || absl::IsFailedPrecondition(status)) task.told_offer = task.offer;
}

// Found on a CPU. If that is news, it is not by our last word, and whoever had that is leaving.
void AgentLoop::NoteOnCpu(Task& task) {
  const bool by_our_word = task.leaving.linked || !task.from_status_word;
  if (!by_our_word) occupants_.Put(task.cpu, &task);
}

// Empties the record, whoever shall have the slot next.
void AgentLoop::Vacate(Task& task) {
  const uint32_t slot = task.slot;
  owned_.Erase(task);
  parked_.Erase(task);
  occupants_.Forget(task);
  task = Task();
  task.slot = slot;
}

// The policy was told. The lead looks whether the slot has a new task already.
void AgentLoop::Release(uint32_t slot) {
  Task& task = state_.tasks()[slot];
  if (task.state != TaskState::kNone) ++counters_.released;
  Vacate(task);
  state_.tasks().SetOwner(slot, TaskTable::kNobody);
  state_.Post(self_, state_.lead(), slot);
}

void AgentLoop::Rescan(Time now) {
  ++counters_.rescans;
  for (Task* next = owned_.front(); next != nullptr;) {
    Task& task = *next;
    next = owned_.Next(task);
    Reconcile(task, now);
  }
  Discover();
}

void AgentLoop::Settle(Time now) {
  settle_at_ = Time::max();
  for (Task* next = owned_.front(); next != nullptr;) {
    Task& task = *next;
    next = owned_.Next(task);
    if (task.settle_looks == 0) continue;
    --task.settle_looks;
    Reconcile(task, now);  // asks for the next look
  }
}

void AgentLoop::SelfCheck(Time now) {
  if (kernel_.info().enabled == 0) {
    status_ = absl::FailedPreconditionError(
        "the scheduling class is not enabled any more; see `corralctl status` for the reason");
    return;
  }
  for (Task* next = owned_.front(); next != nullptr;) {
    Task& task = *next;
    next = owned_.Next(task);
    if (tracker_.ContradictsTwice(task)) {
      ++counters_.repairs;
      if (!Reconcile(task, now)) continue;
      tracker_.Repair(task, now);
      Bar(task, now);
    } else if (task.state == TaskState::kQueued && !policy_.IsQueued(task)) {
      ++counters_.repairs;
      policy_.TaskDeparted(task, now);
      policy_.TaskNew(task, now);
    }
  }
  TellWaits(now);
  CheckStrangers();
}

void AgentLoop::TellWaits(Time now) {
  for (Task* task = owned_.front(); task != nullptr; task = owned_.Next(*task))
    tracker_.Publish(*task, now);
}

// A CPU could not take the task, or the class refused it for no reason that we can see. Nobody else
// shall wait behind it, so after some tries it is parked.
void AgentLoop::NoteRefusal(Task& task, Obstacle obstacle, Time now) {
  ++task.latch_failures;
  const int refusals = Refusals();
  if (task.latch_failures < refusals || task.state != TaskState::kQueued) return;
  Park(task, obstacle, task.latch_failures - refusals, now);
}

void AgentLoop::Park(Task& task, Obstacle obstacle, int tries, Time now) {
  const bool moves = obstacle == Obstacle::kCpus;
  const int rounds = moves ? task.moves / state_.topology().nr_cores() : 0;
  const int doublings = std::min(tries + rounds, kParkingDoublings);
  policy_.TaskBlocked(task, now);
  task.state = TaskState::kParked;
  tracker_.Account(task, now, now);
  task.parked_for = obstacle;
  task.parked_until = now + kFirstParking * (1 << doublings);
  parked_.PushBack(task);
  ++counters_.parked;
}

// What CPUs refuse for reasons that we do not see is tried on others, slower with each round over
// all of them.
void AgentLoop::Unpark(Time now) {
  for (Task* next = parked_.front(); next != nullptr;) {
    Task& task = *next;
    next = parked_.Next(task);
    if (task.parked_until > now) continue;
    Stir();
    const bool moves = task.parked_for == Obstacle::kCpus;
    if (moves && TryWhereItIs(task, now)) continue;
    if (Barred(task)) {
      task.parked_for = Obstacle::kAffinity;
      task.parked_until = now + kSelfCheck;
      continue;
    }
    if (moves && !task.tied && TryElsewhere(task, now)) continue;
    parked_.Erase(task);
    task.state = TaskState::kQueued;
    task.waits.Because(GHOST_WAIT_TURN, now);
    policy_.TaskWakeup(task, now);
  }
}

// The policy shall not wait for what may not run here. The lead finds it another core, if there is
// one; if not, the class runs it now and then where it may.
void AgentLoop::Bar(Task& task, Time now) {
  const bool barred = Barred(task);
  if (task.state == TaskState::kQueued && barred) Park(task, Obstacle::kAffinity, 0, now);
  const bool over = task.state == TaskState::kParked && task.parked_for == Obstacle::kAffinity;
  if (over && !barred) task.parked_until = now;
}

}  // namespace corral
