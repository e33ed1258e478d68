// SPDX-License-Identifier: Apache-2.0
// CoreScheduler, first part: what happened.
#include "policies/secure_vm/core_scheduler.h"

#include <algorithm>
#include <utility>

namespace corral::secure_vm {

void CoreScheduler::TaskNew(Task& task, Time now) {
  Vcpu& vcpu = vcpus_[task];
  const Vcpu::Baggage brought = vcpu.baggage;
  vcpu = Vcpu();
  vcpu.task = &task;
  vcpu.seen = task.runtime;
  if (vcpu.capped() && brought.gtid == task.gtid) {
    vcpu.seen = brought.seen;
    vcpu.cap_left = brought.cap_left;
    vcpu.cap_end = brought.cap_end;
  }
  vcpu.pen = &PenOf(task.domain);
  vcpu.siblings = core_.SiblingsIn(task.affinity);
  if (vcpu.pen->nr_vcpus++ == 0 && co_running_ != nullptr) co_running_->Add(task.domain);
  ledger_.of(task.slot).weight.store(task.weight, std::memory_order_relaxed);
  RenewCap(vcpu, now);
  JoinServer(vcpu, now);
  task.offer = OfferOf(vcpu);
  if (task.state == TaskState::kQueued) Enqueue(vcpu, /*front=*/false, now);
  if (task.state == TaskState::kOnCpu) TaskOnCpu(task, now);
}

void CoreScheduler::TaskWakeup(Task& task, Time now) {
  Vcpu& vcpu = vcpus_[task];
  vcpu.slept = true;
  Enqueue(vcpu, /*front=*/false, now);
  WakeServer(vcpu, now);
}

void CoreScheduler::TaskBlocked(Task& task, Time now) {
  Vcpu& vcpu = vcpus_[task];
  LeaveSibling(vcpu, now);
  Dequeue(vcpu);
  SetAwake(vcpu, false, now);
  vcpu.resumes = false;
  vcpu.favoured = false;
  vcpu.paused = true;
  if (vcpu.pen != nullptr && !vcpu.pen->runnable())
    vcpu.pen->least_vtime = std::max(vcpu.pen->least_vtime, vcpu.vtime);
}

// One that we replaced goes to the end of the queue. One that the host pushed aside goes on with
// its turn when it can.
void CoreScheduler::TaskPreempt(Task& task, Time now) {
  Vcpu& vcpu = vcpus_[task];
  vcpu.resumes = vcpu.sibling >= 0;
  LeaveSibling(vcpu, now);
  Requeue(vcpu, vcpu.resumes, now);
}

void CoreScheduler::TaskYield(Task& task, Time now) {
  Vcpu& vcpu = vcpus_[task];
  LeaveSibling(vcpu, now);
  Requeue(vcpu, /*front=*/false, now);
}

void CoreScheduler::TaskFavoured(Task& task, Time) {
  Vcpu& vcpu = vcpus_[task];
  vcpu.favoured = vcpu.task == &task && vcpu.waiting.linked;
}

// Whoever has had the sibling since was of this domain, however many took turns there.
void CoreScheduler::TaskReplaced(Task& task, CpuId cpu, Time) {
  const int sibling = core_.SiblingOf(cpu);
  if (sibling < 0 || vcpus_[task].pen != holder_) return;
  was_lent_ |= SiblingBit(sibling);
  if (running_[sibling] == nullptr) lent_ |= SiblingBit(sibling);
}

// Others first: what could not be done now may not be possible for a while.
void CoreScheduler::TaskLatchFailure(Task& task, Time now) { TaskYield(task, now); }

// What the class did is a fact. It put the vCPU on a core that is this domain's, so the domain has
// the core. But it is no decision of ours, so it begins no tenure, and whoever had the core last
// goes on with his turn: otherwise short sleeps would make it last for ever.
void CoreScheduler::TaskOnCpu(Task& task, Time now) {
  Vcpu& vcpu = vcpus_[task];
  LeaveSibling(vcpu, now);
  Dequeue(vcpu);
  const int sibling = core_.SiblingOf(task.cpu);
  vcpu.visits = sibling < 0 && !JoinsItsDomain(task);
  SetAwake(vcpu, !vcpu.visits, now);
  if (sibling < 0) return;  // elsewhere; a message will tell when that ends
  if (holder_ != vcpu.pen) {
    for (Vcpu* other : running_) {
      if (other != nullptr) LeaveSibling(*other, now);
    }
    const bool goes_on = holder_ == nullptr && former_ == vcpu.pen;
    const Time held_since = goes_on ? held_since_ : now - tenures_.shortest;
    const Time turn_since = goes_on ? turn_since_ : now;
    SetHolder(vcpu.pen, now);
    held_since_ = held_since;
    turn_since_ = turn_since;
  }
  // Whom it replaces there yielded to it, and what is left of his turn.
  const Vcpu* const replaced = running_[sibling];
  const Time since = replaced == nullptr ? now : replaced->since;
  TakeSibling(vcpu, sibling, now);
  if (replaced != nullptr) vcpu.since = since;
}

void CoreScheduler::TaskDeparted(Task& task, Time now) {
  Vcpu& vcpu = vcpus_[task];
  TaskBlocked(task, now);
  LeaveServer(vcpu, now);
  const bool last = vcpu.pen != nullptr && --vcpu.pen->nr_vcpus == 0;
  if (last && co_running_ != nullptr) co_running_->Remove(vcpu.pen->domain);
  const Vcpu::Baggage brings = {task.gtid, vcpu.seen, vcpu.cap_left, vcpu.cap_end};
  vcpu = Vcpu();
  vcpu.baggage = brings;
}

// The promise goes on, on another sibling if need be, until there is a new verdict on it.
void CoreScheduler::TaskAffinityChanged(Task& task, Time now) {
  Vcpu& vcpu = vcpus_[task];
  if (vcpu.task != &task) return;
  const Siblings siblings = core_.SiblingsIn(task.affinity);
  if (siblings == std::exchange(vcpu.siblings, siblings)) return;
  if (vcpu.server == nullptr) return JoinServer(vcpu, now);
  if (siblings == 0) return LeaveServer(vcpu, now);
  SettleTime(now);
  vcpu.server->DealAgain();
}

void CoreScheduler::TaskAttributesChanged(Task& task, Time now) {
  Vcpu& vcpu = vcpus_[task];
  if (vcpu.task != &task) return;
  if (!Promised(vcpu)) {
    LeaveServer(vcpu, now);
    JoinServer(vcpu, now);
  }
  ledger_.of(task.slot).weight.store(task.weight, std::memory_order_relaxed);
  vcpu.cap_left = std::min(vcpu.cap_left, task.cap);
  RenewCap(vcpu, now);
  task.offer = OfferOf(vcpu);
  if (!vcpu.waiting.linked) return;
  Dequeue(vcpu);
  Enqueue(vcpu, /*front=*/false, now);
}

void CoreScheduler::Committed(const CoreTransaction& txn, Time now) {
  ChargeHandOver(txn);
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    if (txn.sibling(i).target == CoreTransaction::Target::kKeep) continue;
    // The task that was there is told later that it lost its CPU; until then it is neither here nor
    // waiting.
    if (running_[i] != nullptr) LeaveSibling(*running_[i], now);
    lent_ &= ~SiblingBit(i);
  }
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    if (txn.sibling(i).target != CoreTransaction::Target::kRun) continue;
    Vcpu& vcpu = vcpus_[*txn.sibling(i).task];
    Dequeue(vcpu);
    if (vcpu.pen != holder_) SetHolder(vcpu.pen, now);
    TakeSibling(vcpu, i, now);
  }
  NoteOwing();
  TellHolder(now);
  SayWhy(now);
}

bool CoreScheduler::IsQueued(const Task& task) const {
  return vcpus_[task].waiting.linked && vcpus_[task].task == &task;
}

// ---- bookkeeping ----

// A pen is used again once its last vCPU has left.
Pen& CoreScheduler::PenOf(DomainId domain) {
  Pen* free = nullptr;
  for (const std::unique_ptr<Pen>& pen : pens_) {
    if (pen->domain == domain && pen->nr_vcpus > 0) return *pen;
    if (pen->nr_vcpus == 0 && pen.get() != holder_) free = pen.get();
  }
  if (free == nullptr) {
    pens_.push_back(std::make_unique<Pen>());
    free = pens_.back().get();
  }
  free->domain = domain;
  free->vtime = least_vtime_;
  free->least_vtime = 0;
  return *free;
}

// Its server promises what it was granted.
bool CoreScheduler::Promised(const Vcpu& vcpu) const {
  return vcpu.server != nullptr && vcpu.task->place == core_.id &&
         vcpu.task->granted == vcpu.budget && vcpu.task->period == vcpu.server->period();
}

// A cap or a promise is kept by whoever decides when the vCPU runs: what it had counts in the
// period in which it had it, so that must not be heard of later.
Offer CoreScheduler::OfferOf(const Vcpu& vcpu) const {
  return vcpu.capped() || vcpu.server != nullptr ? Offer::kNone : sharing_;
}

// What another core promised is not ours to keep, nor what no sibling of ours can.
void CoreScheduler::JoinServer(Vcpu& vcpu, Time now) {
  const Task& task = *vcpu.task;
  if (task.granted == Duration(0) || task.period == Duration(0) || task.place != core_.id) return;
  if (vcpu.siblings == 0) return;
  SettleTime(now);
  const GangTerms terms = {.nr_siblings = core_.nr_cpus,
                           .hand_over = tenures_.hand_over,
                           .reserve_percent = tenures_.reserve_percent};
  vcpu.pen->ServerOf(task.period, terms).Join(vcpu, now, room_from_);
}

// What a promise gave it beyond the rest of its domain, it has not to wait for when that ends.
void CoreScheduler::LeaveServer(Vcpu& vcpu, Time now) {
  if (vcpu.server == nullptr) return;
  SettleTime(now);
  room_from_ = std::max(room_from_, vcpu.server->Leave(vcpu, now));
  vcpu.vtime = std::min(vcpu.vtime, vcpu.pen->least_vtime + Turn(vcpu.weight()));
}

void CoreScheduler::WakeServer(const Vcpu& vcpu, Time now) {
  if (vcpu.server == nullptr) return;
  const bool taken = holder_ != nullptr && holder_ != vcpu.pen;
  const Time from = taken ? std::max(now, held_since_ + tenures_.shortest) : now;
  vcpu.server->Wake(vcpu, now, from);
}

void CoreScheduler::Enqueue(Vcpu& vcpu, bool front, Time now) {
  if (vcpu.pen == nullptr || vcpu.waiting.linked) return;
  Charge(vcpu, now);
  RenewCap(vcpu, now);
  vcpu.woke = true;
  if (!vcpu.pen->runnable()) vcpu.pen->woke = true;
  vcpu.pen->Enqueue(vcpu, front);
  SetAwake(vcpu, !vcpu.throttled, now);
  nr_throttled_ += vcpu.throttled;
  vcpu.paused |= vcpu.throttled;
  if (!vcpu.throttled && vcpu.pen != holder_) ring_.PushBack(*vcpu.pen);
}

// It has not slept, so what it lacks it is owed. What its domain lacks is a turn at most where
// nobody gets further ahead; in step with other cores it is owed more.
void CoreScheduler::Requeue(Vcpu& vcpu, bool front, Time now) {
  if (vcpu.pen == nullptr) return;
  const bool woke = vcpu.woke, pen_woke = vcpu.pen->woke;
  Enqueue(vcpu, front, now);
  vcpu.woke = woke;
  if (co_running_ != nullptr) vcpu.pen->woke = pen_woke;
}

void CoreScheduler::Dequeue(Vcpu& vcpu) {
  if (vcpu.pen == nullptr) return;
  nr_throttled_ -= vcpu.throttled;
  vcpu.pen->Dequeue(vcpu);
  if (vcpu.pen->waiting.empty()) ring_.Erase(*vcpu.pen);
}

// Of those that come and those that go, the one with the earliest deadline pays: it interrupts the
// others, at its beginning, and gives back to them at its end; however its domain uses the core
// between the two.
void CoreScheduler::ChargeHandOver(const CoreTransaction& txn) {
  Served payer;
  bool comes = false, stays = true;
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    const auto& sibling = txn.sibling(i);
    if (sibling.target == CoreTransaction::Target::kRun)
      stays &= vcpus_[*sibling.task].pen == holder_;
  }
  const auto consider = [&](const Served& served) {
    const bool pays = payer.server == nullptr || served.deadline < payer.deadline;
    if (served.server != nullptr && pays) payer = served;
  };
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    const auto& sibling = txn.sibling(i);
    if (sibling.target == CoreTransaction::Target::kKeep) continue;
    consider(last_[i]);
    if (!stays) last_[i] = Served();
    if (sibling.target != CoreTransaction::Target::kRun) continue;
    const Vcpu& vcpu = vcpus_[*sibling.task];
    if (!vcpu.owed()) continue;
    comes = true;
    NoteServed(i, *vcpu.server);
    consider(last_[i]);
  }
  if (comes && payer.server != nullptr) payer.server->ChargeHandOver();
}

// Whoever goes on when the gang's time is over did not come for that.
void CoreScheduler::NoteServed(int sibling, GangServer& server) {
  Served& last = last_[sibling];
  if (last.server == &server && last.deadline == server.period_end()) return;
  last = {&server, server.deadline()};
}

void CoreScheduler::LeaveSibling(Vcpu& vcpu, Time now) {
  if (vcpu.sibling < 0) return;
  Charge(vcpu, now);
  running_[vcpu.sibling] = nullptr;
  owing_ &= ~SiblingBit(vcpu.sibling);
  vcpu.sibling = -1;
  --vcpu.pen->nr_running;
}

void CoreScheduler::TakeSibling(Vcpu& vcpu, int sibling, Time now) {
  if (running_[sibling] != nullptr) LeaveSibling(*running_[sibling], now);
  running_[sibling] = &vcpu;
  vcpu.sibling = sibling;
  ++vcpu.pen->nr_running;
  if (!vcpu.resumes) vcpu.since = now;
  vcpu.resumes = false;
  vcpu.slept = false;
  vcpu.favoured = false;
  lent_ &= ~SiblingBit(sibling);
}

// The former holder joins the ring behind those that waited for it.
void CoreScheduler::SetHolder(Pen* pen, Time now) {
  Pen* const former = holder_;
  if (former != nullptr) former_ = former;
  holder_ = pen;
  if (former != pen) lent_ = was_lent_ = 0;
  if (former != nullptr && former != pen && !former->waiting.empty()) ring_.PushBack(*former);
  if (pen == nullptr) return;
  pen->rested = false;
  ring_.Erase(*pen);
  held_since_ = now;
  turn_since_ = now;
}

}  // namespace corral::secure_vm
