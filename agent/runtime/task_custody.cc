// SPDX-License-Identifier: Apache-2.0
// PerCoreLoop, second part: which tasks are ours, and how we make sure that none gets lost.
#include <algorithm>

#include "agent/runtime/loop_timing.h"
#include "agent/runtime/per_core_loop.h"

namespace corral {

using namespace loop_timing;

// The slot is ours and its record empty. Messages of the task go to our queue before its status
// word is read for the record, so what is not in the one comes by the other.
void PerCoreLoop::Adopt(uint32_t slot, Time now) {
  for (int attempt = 0; attempt < 8; ++attempt) {
    ghost_status_word word = tracker_.Read(slot);
    if (!tracker_.IsOurs(word)) return Release(slot);
    if ((word.flags & GHOST_SW_ONCPU) && word.offer <= GHOST_OFFER_CORE) {
      const int runs_on = state_.topology().CoreOf(CpuId(word.cpu));
      if (runs_on >= 0 && runs_on != core_) return Give(state_.tasks()[slot], runs_on, now);
    }
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
    // In search of a CPU that takes it, it came to the one that it is on.
    if (task.moves > 0 && place_.SiblingOf(task.cpu) >= 0 && !task.affinity.Contains(task.cpu))
      tracker_.Tie(task, task.cpu, now);
    TellLead(task);
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
void PerCoreLoop::AdoptAgain(Time now) {
  adopt_again_at_ = Time::max();
  TaskTable& tasks = state_.tasks();
  for (uint32_t slot = 0; slot < tasks.size(); ++slot) {
    if (tasks.owner(slot) == core_ && tasks[slot].state == TaskState::kNone) Adopt(slot, now);
  }
}

absl::Status PerCoreLoop::AssociateToUs(const ghost_status_word& word) {
  const QueueId ours = state_.queue_id(core_);
  if (word.queue == ours.value()) return absl::OkStatus();
  return kernel_.Associate(Gtid(word.gtid), word.barrier, ours).status();
}

bool PerCoreLoop::Reconcile(Task& task, Time now) {
  if (tracker_.Reconcile(task, now) == TaskTracker::Outcome::kGone) {
    Release(task.slot);
    return false;
  }
  TellLead(task);
  TellOffer(task);
  if (task.state != TaskState::kParked) parked_.Erase(task);
  Bar(task, now);
  if (task.settle_looks > 0) settle_at_ = std::min(settle_at_, now + kSettle);
  if (task.state != TaskState::kOnCpu) return true;
  const int runs_on = state_.topology().CoreOf(task.cpu);
  const bool visits = task.told_offer > Offer::kCore;
  if (runs_on >= 0 && runs_on != core_ && !visits) {
    Give(task, runs_on, now);
    return false;
  }
  NoteOnCpu(task);
  return true;
}

// The lead judges what is asked for, and where the task may be. It reads the status word and the
// affinity, but only we notice that they changed: by a message, or by looking there first, after
// which the message is stale.
void PerCoreLoop::TellLead(Task& task) {
  const bool unanswered = task.budget > Duration(0) && task.place == CoreId(GHOST_NO_CORE);
  const bool told = task.told_budget == task.budget && task.told_period == task.period;
  if (told && task.told_affinity && !unanswered) return;
  task.told_budget = task.budget;
  task.told_period = task.period;
  task.told_affinity = true;
  if (lead_ != nullptr) return lead_->Consider(task.slot);
  state_.Post(core_, state_.lead(), task.slot);
}

// An offer that is revoked too late has been taken; a message says so.
void PerCoreLoop::TellOffer(Task& task) {
  if (task.told_offer == task.offer) return;
  const absl::Status status = kernel_.OfferTask(task.gtid, task.offer);
  if (status.ok() || absl::IsFailedPrecondition(status)) task.told_offer = task.offer;
}

// Found on a CPU. If that is news, it is not by our last word, and whoever had that is leaving.
void PerCoreLoop::NoteOnCpu(Task& task) {
  const int sibling = place_.SiblingOf(task.cpu);
  const bool by_our_word = task.leaving.linked || !task.from_status_word;
  if (sibling >= 0 && !by_our_word) occupants_.Put(sibling, &task);
}

// Empties the record, whoever shall have the slot next.
void PerCoreLoop::Vacate(Task& task) {
  const uint32_t slot = task.slot;
  owned_.Erase(task);
  parked_.Erase(task);
  occupants_.Forget(task);
  task = Task();
  task.slot = slot;
}

// The policy was told. The lead looks whether the slot has a new task already.
void PerCoreLoop::Release(uint32_t slot) {
  Task& task = state_.tasks()[slot];
  if (task.state != TaskState::kNone) ++counters_.released;
  Vacate(task);
  state_.tasks().SetOwner(slot, TaskTable::kNobody);
  state_.Post(core_, state_.lead(), slot);
}

// Hands the task to the loop of another core, which associates it and learns the rest from its
// status word.
void PerCoreLoop::Give(Task& task, int core, Time now) {
  const uint32_t slot = task.slot;
  ++counters_.given;
  if (task.state != TaskState::kNone) {
    policy_.TaskDeparted(task, now);
    tracker_.Publish(task, now);
  }
  const int moves = task.moves + 1;
  Vacate(task);
  task.moves = moves;
  state_.tasks().SetOwner(slot, core);
  // What this fulfils or gives up; anything else that the lead wants by now is for the new owner.
  state_.tasks().ClearWanted(slot, core);
  state_.tasks().ClearWanted(slot, core_);
  state_.Post(core_, core, slot);
  if (core != state_.lead()) state_.Post(core_, state_.lead(), slot);
}

// The other core that the lead wants a task of ours on, or kNobody.
int PerCoreLoop::WantedElsewhere(const Task& task) const {
  const int core = state_.tasks().wanted(task.slot);
  return core == core_ || task.tied ? TaskTable::kNobody : core;
}

// A task that is on a CPU goes when it has left that; Decide() sees to it.
void PerCoreLoop::GiveIfWanted(Task& task, Time now) {
  const int core = WantedElsewhere(task);
  if (task.state != TaskState::kOnCpu && core != TaskTable::kNobody) Give(task, core, now);
}

void PerCoreLoop::Rescan(Time now) {
  ++counters_.rescans;
  for (Task* next = owned_.front(); next != nullptr;) {
    Task& task = *next;
    next = owned_.Next(task);
    Reconcile(task, now);
  }
  if (lead_ != nullptr) lead_->Discover();
}

void PerCoreLoop::Settle(Time now) {
  settle_at_ = Time::max();
  for (Task* next = owned_.front(); next != nullptr;) {
    Task& task = *next;
    next = owned_.Next(task);
    if (task.settle_looks == 0) continue;
    --task.settle_looks;
    Reconcile(task, now);  // asks for the next look
  }
}

void PerCoreLoop::SelfCheck(Time now) {
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
    tracker_.Publish(task, now);
  }
  if (lead_ != nullptr) lead_->SelfCheck(counters_);
}

// A CPU could not take the task, or the class refused it for no reason that we can see. Nobody else
// shall wait behind it, so after a try on every sibling it is parked.
void PerCoreLoop::NoteRefusal(Task& task, Obstacle obstacle, Time now) {
  ++task.latch_failures;
  const int refusals = std::max(kRefusals, place_.nr_cpus);
  if (task.latch_failures < refusals || task.state != TaskState::kQueued) return;
  Park(task, obstacle, task.latch_failures - refusals, now);
}

void PerCoreLoop::Park(Task& task, Obstacle obstacle, int tries, Time now) {
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

// What the CPUs of this core refuse for reasons that we do not see moves on to the next core that
// it may use, slower with each round over all of them.
void PerCoreLoop::Unpark(Time now) {
  for (Task* next = parked_.front(); next != nullptr;) {
    Task& task = *next;
    next = parked_.Next(task);
    if (task.parked_until > now) continue;
    const bool moves = task.parked_for == Obstacle::kCpus;
    if (moves && TryWhereItIs(task, now)) continue;
    if (Barred(task)) {
      task.parked_for = Obstacle::kAffinity;
      task.parked_until = now + kSelfCheck;
      continue;
    }
    const int other = moves && !task.tied ? NextCoreFor(task) : TaskTable::kNobody;
    if (other != TaskTable::kNobody) {
      Give(task, other, now);
      continue;
    }
    parked_.Erase(task);
    task.state = TaskState::kQueued;
    task.waits.Because(GHOST_WAIT_TURN, now);
    policy_.TaskWakeup(task, now);
  }
}

// True if it is another core's now.
bool PerCoreLoop::TryWhereItIs(Task& task, Time now) {
  const CpuId cpu(tracker_.Read(task.slot).cpu);
  const int core = state_.topology().CoreOf(cpu);
  if (core < 0 || task.affinity.Contains(cpu)) return false;
  if (core == core_) {
    tracker_.Tie(task, cpu, now);
    return false;
  }
  Give(task, core, now);
  return true;
}

int PerCoreLoop::NextCoreFor(const Task& task) const {
  const Topology& topology = state_.topology();
  for (int i = 1; i < topology.nr_cores(); ++i) {
    const int core = (core_ + i) % topology.nr_cores();
    const uint32_t siblings = topology.core(core).SiblingsIn(task.affinity);
    if ((siblings & state_.OnlineSiblings(core)) != 0) return core;
  }
  return TaskTable::kNobody;
}

// ---- CPUs that are not there, and those that a task may not use ----

// When a sibling goes or comes, the lead looks for itself whom that concerns.
void PerCoreLoop::LookAtCpus(Time now) {
  const uint32_t online = state_.OnlineSiblings(core_);
  if (online == online_) return;
  online_ = online;
  for (Task* task = owned_.front(); task != nullptr; task = owned_.Next(*task)) Bar(*task, now);
  if (!owned_.empty()) state_.Post(core_, state_.lead(), owned_.front()->slot);
}

bool PerCoreLoop::Barred(const Task& task) const {
  return (place_.SiblingsIn(task.affinity) & online_) == 0;
}

// The policy shall not wait for what may not run here. The lead finds it another core, if there is
// one; if not, the class runs it now and then where it may.
void PerCoreLoop::Bar(Task& task, Time now) {
  const bool barred = Barred(task);
  if (task.state == TaskState::kQueued && barred) Park(task, Obstacle::kAffinity, 0, now);
  const bool over = task.state == TaskState::kParked && task.parked_for == Obstacle::kAffinity;
  if (over && !barred) task.parked_until = now;
}

}  // namespace corral
