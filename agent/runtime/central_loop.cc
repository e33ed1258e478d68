// SPDX-License-Identifier: Apache-2.0
// Tasks and decisions. CPUs, and where the agent itself runs: central_place.cc.
#include "agent/runtime/central_loop.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace corral {

using namespace loop_timing;

namespace {

std::vector<int> AllCores(const EnclaveState& state) {
  std::vector<int> cores(state.topology().nr_cores());
  std::iota(cores.begin(), cores.end(), 0);
  return cores;
}

}  // namespace

CentralLoop::CentralLoop(EnclaveState& state, CentralPolicy& policy, Options options)
    : AgentLoop(state, state.lead(), AllCores(state), policy),
      central_policy_(policy),
      options_(std::move(options)),
      txn_(state.topology()),
      entered_(state.topology().nr_cores()),
      seen_entered_(state.topology().nr_cores()),
      strangers_(state.tasks().size()),
      place_(options_.housekeeping.empty() ? state.topology().cpus() : options_.housekeeping,
             state.topology(), options_.longest_stay) {}

absl::Status CentralLoop::Enter(int core) {
  const absl::Status status = kernel_.EnterAgent(state_.topology().core(core).id);
  if (status.ok()) entered_[core].store(true, std::memory_order_release);
  return status;
}

absl::Status CentralLoop::Leave(int core) {
  entered_[core].store(false, std::memory_order_release);
  return kernel_.LeaveAgent(state_.topology().core(core).id);
}

// ---- tasks that come ----

// The class announced it to us, and nobody has it.
bool CentralLoop::IsStranger(uint32_t slot, const ghost_status_word& word, Gtid announced) const {
  const bool told =
      (word.flags & GHOST_SW_ANNOUNCED) || (word.gtid != 0 && announced == Gtid(word.gtid));
  return told && tracker_.IsOurs(word) && state_.tasks().owner(slot) == TaskTable::kNobody;
}

// Its status word is read, and the policy told, when we look at what was posted.
void CentralLoop::Take(uint32_t slot, Gtid announced) {
  if (slot >= strangers_.size() || !IsStranger(slot, tracker_.Read(slot), announced)) return;
  strangers_[slot] = 0;
  state_.tasks().SetOwner(slot, self_);
  state_.Post(self_, self_, slot);
}

void CentralLoop::Discover() {
  for (uint32_t slot = 0; slot < strangers_.size(); ++slot) Take(slot, Gtid(0));
}

void CentralLoop::OnStranger(const ghost_msg& message, uint32_t slot, int owner, Time now) {
  // Of another incarnation than our record: that one is gone.
  if (owner == self_ && state_.tasks()[slot].state != TaskState::kNone) {
    Reconcile(state_.tasks()[slot], now);
  } else if (owner == self_) {
    return state_.Post(self_, self_, slot);
  }
  Take(slot, message.type == GHOST_MSG_TASK_NEW ? Gtid(message.gtid) : Gtid(0));
}

// One whose announcement was lost without a sign.
void CentralLoop::CheckStrangers() {
  for (uint32_t slot = 0; slot < strangers_.size(); ++slot) {
    if (state_.tasks().owner(slot) != TaskTable::kNobody) continue;
    const ghost_status_word word = tracker_.Read(slot);
    if (!IsStranger(slot, word, Gtid(0))) {
      strangers_[slot] = 0;
    } else if (std::exchange(strangers_[slot], word.gtid) == word.gtid) {
      ++counters_.repairs;
      Take(slot, Gtid(0));
    }
  }
}

// ---- the decision ----

void CentralLoop::Decide(Time now) {
  // It is called all the time, and most of the time nothing has happened.
  ClearPlace(now);
  if (!TakeStir() && now < decide_at_) return;
  for (int round = 0; round < kRounds && status_.ok(); ++round) {
    txn_.Reset();
    LookAtCpus(now);
    Propose(now);
    const Reaction reaction = txn_.changed().empty() ? Reaction::kDone : Commit(now);
    if (reaction == Reaction::kDone) break;
    if (reaction == Reaction::kBackOff || round + 1 == kRounds) {
      BackOff(now);
      break;
    }
    Receive(now);
  }
  txn_.Reset();
  const Time due = central_policy_.NextDeadline();
  decide_at_ = std::min(due > now ? due : now + kFirstBackoff, retry_at_);
}

void CentralLoop::Propose(Time now) {
  central_policy_.Schedule(now, txn_);
  occupants_.FindDeserted();
  const Topology& topology = state_.topology();
  for (int c = 0; c < topology.nr_cores(); ++c) {
    for (int i = 0; i < topology.core(c).nr_cpus; ++i) {
      const CoreTransaction& txn = txn_.core(c);
      const CpuId cpu = topology.core(c).cpu[i];
      const bool kept = txn.sibling(i).target == CoreTransaction::Target::kKeep;
      if (kept && txn.usable(i) && occupants_.Deserted(cpu)) txn_.Idle(c, i);
    }
  }
}

// Nobody shall wait on the CPU that we spin on. Whom we pushed aside there when we came is told
// again. In a commit of its own: then the policy knows of those when it decides.
void CentralLoop::ClearPlace(Time now) {
  const Topology& topology = state_.topology();
  const int core = spins_ ? topology.CoreOf(place()) : -1;
  if (core < 0 || now < clear_place_at_ || !HoldsSomething(place())) return;
  clear_place_at_ = now + kClearPlace;
  txn_.Idle(core, topology.core(core).SiblingOf(place()));
  Commit(now);
  txn_.Reset();
  Receive(now);
}

AgentLoop::Reaction CentralLoop::Commit(Time now) {
  Reaction reaction = Reaction::kDone;
  committed_at_ = now;
  const size_t nr = txn_.changed().size();
  for (size_t first = 0; first < nr && status_.ok(); first += GHOST_COMMIT_MAX_CORES) {
    const size_t some = std::min<size_t>(nr - first, GHOST_COMMIT_MAX_CORES);
    reaction = std::max(reaction, CommitSome(first, some, now));
  }
  return reaction;
}

// As many cores as fit into a call.
AgentLoop::Reaction CentralLoop::CommitSome(size_t first, size_t nr, Time now) {
  batch_.Clear();
  for (size_t i = 0; i < nr; ++i) batch_.Add(txn_.core(txn_.changed()[first + i]));
  const absl::Status status = kernel_.Commit(batch_.call());
  if (!status.ok()) return OnCallFailure(status);
  Reaction reaction = Reaction::kDone;
  for (size_t i = 0; i < nr; ++i) {
    const int core = txn_.changed()[first + i];
    txn_.ReadResults(core, batch_.result(static_cast<uint32_t>(i)));
    reaction = std::max(reaction, OnResult(txn_.core(core), core, now));
    if (txn_.core(core).complete()) central_policy_.Committed(core, txn_.core(core), now);
  }
  return reaction;
}

AgentLoop::Reaction CentralLoop::Reenter(int core) {
  if (core != self_) {
    if (entered_[core].exchange(false) && options_.enter_again) options_.enter_again(core);
    return Reaction::kRetry;
  }
  const absl::Status status = Enter(core);
  if (status.ok()) {
    ++counters_.reentered;
    return Reaction::kRetry;
  }
  if (absl::IsPermissionDenied(status) || absl::IsFailedPrecondition(status) ||
      absl::IsAlreadyExists(status))
    status_ = status;
  return Reaction::kBackOff;
}

}  // namespace corral
