// SPDX-License-Identifier: Apache-2.0
#include "policies/secure_vm/policy.h"

#include <algorithm>

namespace corral::secure_vm {

// ---- what happened ----

void CoreScheduler::TaskNew(Task& task, Time now) {
  Vcpu& vcpu = vcpus_[task];
  vcpu = Vcpu();
  vcpu.task = &task;
  vcpu.pen = &PenOf(task.domain);
  ++vcpu.pen->nr_vcpus;
  if (task.state == TaskState::kQueued) Enqueue(vcpu, /*front=*/false);
  if (task.state == TaskState::kOnCpu) TaskOnCpu(task, now);
}

void CoreScheduler::TaskWakeup(Task& task, Time) { Enqueue(vcpus_[task], /*front=*/false); }

void CoreScheduler::TaskBlocked(Task& task, Time) {
  Vcpu& vcpu = vcpus_[task];
  LeaveSibling(vcpu);
  Dequeue(vcpu);
  vcpu.resumes = false;
}

// One that we replaced goes to the end of the queue. One that the host pushed aside goes on with
// its turn when it can.
void CoreScheduler::TaskPreempt(Task& task, Time) {
  Vcpu& vcpu = vcpus_[task];
  vcpu.resumes = vcpu.sibling >= 0;
  LeaveSibling(vcpu);
  Enqueue(vcpu, vcpu.resumes);
}

void CoreScheduler::TaskYield(Task& task, Time) {
  Vcpu& vcpu = vcpus_[task];
  LeaveSibling(vcpu);
  Enqueue(vcpu, /*front=*/false);
}

// Others first: what could not be done now may not be possible for a while.
void CoreScheduler::TaskLatchFailure(Task& task, Time now) { TaskYield(task, now); }

// What the class did is a fact. It put the vCPU on a core that is this domain's, so the domain has
// the core.
void CoreScheduler::TaskOnCpu(Task& task, Time now) {
  Vcpu& vcpu = vcpus_[task];
  LeaveSibling(vcpu);
  Dequeue(vcpu);
  const int sibling = core_.SiblingOf(task.cpu);
  if (sibling < 0) return;  // elsewhere; a message will tell when that ends
  if (holder_ != vcpu.pen) {
    for (Vcpu* other : running_) {
      if (other != nullptr) LeaveSibling(*other);
    }
    SetHolder(vcpu.pen, now);
  }
  TakeSibling(vcpu, sibling, now);
}

void CoreScheduler::TaskDeparted(Task& task, Time now) {
  Vcpu& vcpu = vcpus_[task];
  TaskBlocked(task, now);
  if (vcpu.pen != nullptr) --vcpu.pen->nr_vcpus;
  vcpu = Vcpu();
}

// ---- what to do ----

void CoreScheduler::Schedule(Time now, CoreTransaction& txn) {
  if (holder_ != nullptr && holder_->nr_running == 0 && holder_->waiting.empty()) {
    SetHolder(nullptr, now);
  }
  const bool over = holder_ == nullptr || now >= held_since_ + options_.tenure;
  if (over && !ring_.empty()) return ProposeSwitch(*ring_.front(), txn);
  if (holder_ != nullptr) ProposeWithin(now, txn);
}

// The whole core for the next domain. Nothing of the former one may stay, so no sibling is kept.
void CoreScheduler::ProposeSwitch(Pen& next, CoreTransaction& txn) {
  Vcpu* vcpu = next.waiting.front();
  const int first = FirstSibling(*vcpu, txn);
  for (int n = 0; n < txn.nr_siblings(); ++n) {
    const int i = (first + n) % txn.nr_siblings();
    if (!txn.usable(i)) continue;
    if (vcpu == nullptr) {
      txn.Idle(i);
      continue;
    }
    txn.Run(i, *vcpu->task);
    vcpu = next.waiting.Next(*vcpu);
  }
}

// Siblings without a vCPU get one; then those whose turn is over make room for those that wait.
void CoreScheduler::ProposeWithin(Time now, CoreTransaction& txn) {
  Vcpu* vcpu = holder_->waiting.front();
  if (vcpu == nullptr) return;
  const auto run_next = [&](int sibling) {
    txn.Run(sibling, *vcpu->task);
    vcpu = holder_->waiting.Next(*vcpu);
  };
  const int first = FirstSibling(*vcpu, txn);
  for (int n = 0; n < txn.nr_siblings() && vcpu != nullptr; ++n) {
    const int i = (first + n) % txn.nr_siblings();
    if (txn.usable(i) && running_[i] == nullptr) run_next(i);
  }
  while (vcpu != nullptr) {
    const int sibling = OldestTurn(txn);
    if (sibling < 0 || now < running_[sibling]->since + options_.tenure) break;
    run_next(sibling);
  }
  if (txn.empty()) return;
  // What we take for idle shall be idle, whoever may be there.
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    const bool kept = txn.sibling(i).target == CoreTransaction::Target::kKeep;
    if (kept && txn.usable(i) && running_[i] == nullptr) txn.Idle(i);
  }
}

// A vCPU that a sibling could not take, because it is pinned perhaps, is offered to the next one.
int CoreScheduler::FirstSibling(const Vcpu& vcpu, const CoreTransaction& txn) const {
  return vcpu.task->latch_failures % txn.nr_siblings();
}

// Of the siblings that the transaction leaves alone, the one whose vCPU runs longest; -1 if there
// is none.
int CoreScheduler::OldestTurn(const CoreTransaction& txn) const {
  int oldest = -1;
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    const bool kept = txn.sibling(i).target == CoreTransaction::Target::kKeep;
    if (!kept || !txn.usable(i) || running_[i] == nullptr) continue;
    if (oldest < 0 || running_[i]->since < running_[oldest]->since) oldest = i;
  }
  return oldest;
}

void CoreScheduler::Committed(const CoreTransaction& txn, Time now) {
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    if (txn.sibling(i).target == CoreTransaction::Target::kKeep) continue;
    // The task that was there is told later that it lost its CPU; until then it is neither here nor
    // waiting.
    if (running_[i] != nullptr) LeaveSibling(*running_[i]);
  }
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    if (txn.sibling(i).target != CoreTransaction::Target::kRun) continue;
    Vcpu& vcpu = vcpus_[*txn.sibling(i).task];
    Dequeue(vcpu);
    if (vcpu.pen != holder_) SetHolder(vcpu.pen, now);
    TakeSibling(vcpu, i, now);
  }
}

Time CoreScheduler::NextDeadline() const {
  if (holder_ == nullptr) return Time::max();
  Time at = Time::max();
  if (!ring_.empty()) at = held_since_ + options_.tenure;
  if (holder_->waiting.empty()) return at;
  for (const Vcpu* vcpu : running_) {
    if (vcpu != nullptr) at = std::min(at, vcpu->since + options_.tenure);
  }
  return at;
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
  return *free;
}

void CoreScheduler::Enqueue(Vcpu& vcpu, bool front) {
  if (vcpu.pen == nullptr) return;
  if (front) {
    vcpu.pen->waiting.PushFront(vcpu);
  } else {
    vcpu.pen->waiting.PushBack(vcpu);
  }
  if (vcpu.pen != holder_) ring_.PushBack(*vcpu.pen);
}

void CoreScheduler::Dequeue(Vcpu& vcpu) {
  if (vcpu.pen == nullptr) return;
  vcpu.pen->waiting.Erase(vcpu);
  if (vcpu.pen->waiting.empty()) ring_.Erase(*vcpu.pen);
}

void CoreScheduler::LeaveSibling(Vcpu& vcpu) {
  if (vcpu.sibling < 0) return;
  running_[vcpu.sibling] = nullptr;
  vcpu.sibling = -1;
  --vcpu.pen->nr_running;
}

void CoreScheduler::TakeSibling(Vcpu& vcpu, int sibling, Time now) {
  if (running_[sibling] != nullptr) LeaveSibling(*running_[sibling]);
  running_[sibling] = &vcpu;
  vcpu.sibling = sibling;
  ++vcpu.pen->nr_running;
  if (!vcpu.resumes) vcpu.since = now;
  vcpu.resumes = false;
}

// The former holder joins the ring behind those that waited for it.
void CoreScheduler::SetHolder(Pen* pen, Time now) {
  Pen* const former = holder_;
  holder_ = pen;
  if (former != nullptr && former != pen && !former->waiting.empty()) ring_.PushBack(*former);
  if (pen == nullptr) return;
  ring_.Erase(*pen);
  held_since_ = now;
}

}  // namespace corral::secure_vm
