// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/per_core_loop.h"

#include <algorithm>

#include "agent/runtime/loop_timing.h"

namespace corral {

using namespace loop_timing;

PerCoreLoop::PerCoreLoop(EnclaveState& state, int core, CorePolicy& policy, Lead* lead)
    : AgentLoop(state, core, {core}, policy),
      place_(state.topology().core(core)),
      core_policy_(policy),
      lead_(lead),
      online_(place_.SiblingsIn(place_.siblings)) {}

absl::Status PerCoreLoop::Enter() { return kernel_.EnterAgent(place_.id); }

absl::Status PerCoreLoop::Leave() { return kernel_.LeaveAgent(place_.id); }

absl::Status PerCoreLoop::Run(const std::atomic<bool>& stop) {
  while (!stop.load(std::memory_order_acquire) && status_.ok()) {
    const Time deadline = Step(kernel_.Now());
    if (status_.ok()) state_.queue(self_).Wait(deadline);
  }
  return status_;
}

// ---- the decision ----

void PerCoreLoop::Decide(Time now) {
  for (int round = 0; round < kRounds && status_.ok(); ++round) {
    LookAtCpus(now);
    if (online_ == 0) return;
    Propose(now);
    if (txn_.empty()) return;
    const Reaction reaction = Commit(now);
    if (reaction == Reaction::kDone) return;
    if (reaction == Reaction::kBackOff) break;
    Receive(now);
  }
  BackOff(now);
}

void PerCoreLoop::Propose(Time now) {
  txn_.Reset(place_.id, place_.nr_cpus, online_);
  for (int i = 0; i < place_.nr_cpus; ++i) {
    if (Task* const task = occupants_.at(place_.cpu[i]); task != nullptr)
      tracker_.UpdateRuntime(*task, now);
  }
  core_policy_.Schedule(now, txn_);
  if (core_policy_.CallsLead() && lead_ == nullptr) state_.queue(state_.lead()).Wake();
  occupants_.FindDeserted();
  for (int i = 0; i < place_.nr_cpus; ++i) {
    const bool kept = txn_.sibling(i).target == CoreTransaction::Target::kKeep;
    const Task* const task = occupants_.at(place_.cpu[i]);
    const bool leaves = task != nullptr && WantedElsewhere(*task) != TaskTable::kNobody;
    if (kept && txn_.usable(i) && (leaves || occupants_.Deserted(place_.cpu[i]))) txn_.Idle(i);
  }
}

AgentLoop::Reaction PerCoreLoop::Commit(Time now) {
  batch_.Clear();
  batch_.Add(txn_);
  const absl::Status status = kernel_.Commit(batch_.call());
  if (!status.ok()) return OnCallFailure(status);
  txn_.ReadResults(batch_.result(0));
  const Reaction reaction = OnResult(txn_, self_, now);
  if (txn_.complete()) core_policy_.Committed(txn_, now);
  return reaction;
}

AgentLoop::Reaction PerCoreLoop::Reenter(int) {
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

// ---- tasks that come and go ----

void PerCoreLoop::Discover() {
  if (lead_ != nullptr) lead_->Discover();
}

// The message came to the queue that the task had before, or the task is new.
void PerCoreLoop::OnStranger(const ghost_msg& message, uint32_t slot, int owner, Time) {
  const bool is_new = message.type == GHOST_MSG_TASK_NEW;
  if (owner == self_) {
    if (is_new && lead_ != nullptr) return lead_->Consider(slot, Gtid(message.gtid));
    return state_.Post(self_, self_, slot);
  }
  if (lead_ != nullptr && (is_new || owner == TaskTable::kNobody))
    return lead_->Consider(slot, is_new ? Gtid(message.gtid) : Gtid(0));
  ++counters_.forwarded_messages;
  state_.Post(self_, owner == TaskTable::kNobody ? state_.lead() : owner, slot);
}

void PerCoreLoop::Consider(uint32_t slot) {
  if (lead_ != nullptr) lead_->Consider(slot);
}

void PerCoreLoop::CheckStrangers() {
  if (lead_ != nullptr) lead_->SelfCheck(counters_);
}

void PerCoreLoop::HouseKeep(Time now) {
  if (lead_ == nullptr) return;
  lead_->JudgeAgain();
  lead_->Spread(now);
}

Time PerCoreLoop::OwnDeadline(Time now) const {
  Time at = lead_ == nullptr ? Time::max() : lead_->next_spread();
  // Nobody tells that a CPU is back.
  const bool whole = online_ == place_.SiblingsIn(place_.siblings);
  if (!whole && !owned_.empty()) at = std::min(at, now + kOffline);
  return at;
}

bool PerCoreLoop::GoesWithCpu(Task& task, CpuId cpu, bool visits, Time now) {
  const int runs_on = state_.topology().CoreOf(cpu);
  if (runs_on < 0 || runs_on == self_ || visits) return false;
  Give(task, runs_on, now);
  return true;
}

// In search of a CPU that takes it, it came to the one that it is on.
void PerCoreLoop::Adopted(Task& task, Time now) {
  if (task.moves > 0 && place_.SiblingOf(task.cpu) >= 0 && !task.affinity.Contains(task.cpu))
    tracker_.Tie(task, task.cpu, now);
}

// The lead judges what is asked for, and where the task may be. It reads the status word and the
// affinity, but only we notice that they changed: by a message, or by looking there first, after
// which the message is stale.
void PerCoreLoop::Updated(Task& task) {
  const bool unanswered = task.budget > Duration(0) && task.place == CoreId(GHOST_NO_CORE);
  const bool told = task.told_budget == task.budget && task.told_period == task.period;
  if (told && task.told_affinity && !unanswered) return;
  task.told_budget = task.budget;
  task.told_period = task.period;
  task.told_affinity = true;
  if (lead_ != nullptr) return lead_->Consider(task.slot);
  state_.Post(self_, state_.lead(), task.slot);
}

// Hands the task to the loop of another core, which associates it and learns the rest from its
// status word.
void PerCoreLoop::Give(Task& task, int core, Time now) {
  const uint32_t slot = task.slot;
  ++counters_.given;
  if (task.state != TaskState::kNone) {
    core_policy_.TaskDeparted(task, now);
    tracker_.Publish(task, now);
  }
  const int moves = task.moves + 1;
  Vacate(task);
  task.moves = moves;
  state_.tasks().SetOwner(slot, core);
  // What this fulfils or gives up; anything else that the lead wants by now is for the new owner.
  state_.tasks().ClearWanted(slot, core);
  state_.tasks().ClearWanted(slot, self_);
  state_.Post(self_, core, slot);
  if (core != state_.lead()) state_.Post(self_, state_.lead(), slot);
}

// The other core that the lead wants a task of ours on, or kNobody.
int PerCoreLoop::WantedElsewhere(const Task& task) const {
  const int core = state_.tasks().wanted(task.slot);
  return core == self_ || task.tied ? TaskTable::kNobody : core;
}

// A task that is on a CPU goes when it has left that; Decide() sees to it. It may be there already,
// because the class ran it by itself.
bool PerCoreLoop::GiveIfWanted(Task& task, Time now) {
  const int core = WantedElsewhere(task);
  if (core == TaskTable::kNobody) return false;
  if (task.state == TaskState::kOnCpu && state_.topology().CoreOf(task.cpu) != core) return false;
  Give(task, core, now);
  return true;
}

// ---- CPUs that refuse a task, are not there, or may not be used ----

int PerCoreLoop::Refusals() const { return std::max(kRefusals, place_.nr_cpus); }

bool PerCoreLoop::TryWhereItIs(Task& task, Time now) {
  const CpuId cpu(tracker_.Read(task.slot).cpu);
  const int core = state_.topology().CoreOf(cpu);
  if (core < 0 || task.affinity.Contains(cpu)) return false;
  if (core == self_) {
    tracker_.Tie(task, cpu, now);
    return false;
  }
  Give(task, core, now);
  return true;
}

bool PerCoreLoop::TryElsewhere(Task& task, Time now) {
  const int other = NextCoreFor(task);
  if (other == TaskTable::kNobody) return false;
  Give(task, other, now);
  return true;
}

int PerCoreLoop::NextCoreFor(const Task& task) const {
  const Topology& topology = state_.topology();
  for (int i = 1; i < topology.nr_cores(); ++i) {
    const int core = (self_ + i) % topology.nr_cores();
    const uint32_t siblings = topology.core(core).SiblingsIn(task.affinity);
    if ((siblings & state_.OnlineSiblings(core)) != 0) return core;
  }
  return TaskTable::kNobody;
}

// When a sibling goes or comes, the lead looks for itself whom that concerns.
void PerCoreLoop::LookAtCpus(Time now) {
  const uint32_t online = state_.OnlineSiblings(self_);
  if (online == online_) return;
  online_ = online;
  for (Task* task = owned_.front(); task != nullptr; task = owned_.Next(*task)) Bar(*task, now);
  if (!owned_.empty()) state_.Post(self_, state_.lead(), owned_.front()->slot);
}

bool PerCoreLoop::Barred(const Task& task) const {
  return (place_.SiblingsIn(task.affinity) & online_) == 0;
}

}  // namespace corral
