// SPDX-License-Identifier: Apache-2.0
// One CPU's choice, as the kernel's __schedule() with sched_ext's balance, pick, put and set makes
// it, and the work that gets done between two choices.
#include <utility>

#include "kernel/sim/machine.h"

namespace corral::sim {
namespace {

// sched_ext's own bound on calls of dispatch in one pick.
constexpr int kDispatchRounds = 32;

}  // namespace

// ---- progress ----

int Machine::Speed(const Cpu& c) const {
  int speed = 1000;
  for (const int sibling : cores_[c.core]) {
    if (sibling != c.id && !Idle(cpus_[sibling])) speed = spec_.costs.smt_speed;
  }
  const int home = c.curr->home_node;
  if (home >= 0 && home != spec_.cores[c.core].node)
    speed = speed * spec_.costs.remote_speed / 1000;
  return std::max(speed, 1);
}

void Machine::Charge(Cpu& c) {
  const Duration time = now_ - std::exchange(c.charged_at, now_);
  if (Idle(c) || time == Duration(0)) return;
  SimThread& t = *c.curr;
  t.cpu_time_ += time;
  if (IsExt(t) && t.scx.slice != SCX_SLICE_INF)
    t.scx.slice -= std::min<uint64_t>(t.scx.slice, time.count());
  Duration done = time * Speed(c) / 1000;
  const Duration paid = std::min(done, t.debt_);
  t.debt_ -= paid;
  done -= paid;
  t.work_ += done;
  if (t.has_step_ && t.remaining_ != Step::kForever) t.remaining_ -= std::min(done, t.remaining_);
}

// The end of the present step becomes an event, if it has an end.
void Machine::Arm(Cpu& c) {
  const uint64_t arming = ++c.arming;
  if (Idle(c)) return;
  const SimThread& t = *c.curr;
  if (t.has_step_ && t.remaining_ == Step::kForever) return;
  const Duration left = t.debt_ + (t.has_step_ ? t.remaining_ : Duration(0));
  const int speed = Speed(c);
  OnCpu(
      c.id, [this, &c, arming] { StepOver(c, arming); },
      now_ + (left * 1000 + Duration(speed - 1)) / speed);
}

void Machine::StepOver(Cpu& c, uint64_t arming) {
  if (c.arming != arming || Idle(c)) return;
  Charge(c);
  SimThread& t = *c.curr;
  if (t.debt_ > Duration(0) || (t.has_step_ && t.remaining_ > Duration(0))) return Arm(c);
  t.has_step_ = false;
  if (&t == c.stopper.get()) {
    for (std::function<void()>& work : std::exchange(c.stopper_work, {})) work();
    t.blocking_ = c.stopper_work.empty();
    return Schedule(c);
  }
  if (std::exchange(t.pinned_, false) && !t.affinity_.Contains(CpuId(c.id))) LeaveForbiddenCpu(t);
  const Step step = t.program_->Next(t, now_);
  const bool yielded = std::exchange(t.yielded_, false);
  switch (step.kind) {
    case Step::Kind::kRun:
      t.has_step_ = true;
      t.pinned_ = step.pinned && !c.going_down;
      t.remaining_ = step.time;
      if (!yielded) return Arm(c);
      break;
    case Step::Kind::kSleep:
    case Step::Kind::kBlock: {
      const uint64_t sleep = ++t.sleeps_;
      if (std::exchange(t.wake_pending_, false)) return Arm(c);  // asks the program again
      t.blocking_ = true;
      if (step.kind == Step::Kind::kBlock) break;
      OnCpu(
          c.id,
          [this, &t, sleep] {
            if (t.sleeps_ == sleep) Wake(t);
          },
          now_ + step.time);
      break;
    }
    case Step::Kind::kYield:
      if (IsExt(t)) {
        const ClassContext context(*this, c.id, &t);
        corral_ops.yield(&t, nullptr);
      }
      break;
    case Step::Kind::kExit:
      BeginExit(t);
      break;
  }
  Schedule(c);
}

Duration Machine::SwitchCost(const Cpu& c, const SimThread& next) const {
  Duration cost = spec_.costs.context_switch;
  if (next.last_cpu_ < 0 || next.last_cpu_ == c.id) return cost;
  const Cpu& last = cpus_[next.last_cpu_];
  const SimCore& here = spec_.cores[c.core];
  const SimCore& there = spec_.cores[last.core];
  if (here.node != there.node) return cost + next.footprint * spec_.costs.node_migration;
  if (here.l3 != there.l3) return cost + next.footprint * spec_.costs.l3_migration;
  if (c.core != last.core) return cost + spec_.costs.core_migration;
  return cost;
}

// ---- when to choose ----

void Machine::OnKick(Cpu& c) {
  const uint64_t flags = std::exchange(c.kick_flags, 0);
  const bool all = std::exchange(c.kick_all, false);
  c.kicked = false;
  if (!c.online) return;
  if (!all && !Idle(c)) return;  // SCX_KICK_IDLE
  Charge(c);
  if ((flags & SCX_KICK_PREEMPT) != 0 && !Idle(c) && IsExt(*c.curr)) c.curr->scx.slice = 0;
  Schedule(c);
}

void Machine::Resched(Cpu& c) {
  OnCpu(
      c.id,
      [this, &c] {
        if (c.online) Schedule(c);
      },
      now_);
}

void Machine::Tick(Cpu& c) {
  c.ticking = !Idle(c) && IsExt(*c.curr) && c.online;
  if (!c.ticking) return;
  OnCpu(
      c.id, [this, &c] { Tick(c); }, now_ + spec_.costs.tick);
  Charge(c);
  {
    const ClassContext context(*this, c.id, c.curr);
    corral_ops.tick(c.curr);
  }
  if (c.curr->scx.slice == 0) Schedule(c);
}

// ---- the choice ----

void Machine::Schedule(Cpu& c) {
  SimThread* const prev = c.curr;
  Charge(c);
  if (prev->blocking_) {
    prev->blocking_ = false;
    Dequeue(*prev, SCX_DEQ_SLEEP, /*migrating=*/false);
    prev->on_rq = 0;
  }
  SimThread* const next = Pick(c, prev);
  if (next == prev) return Arm(c);
  PutPrev(c, *prev, *next);
  SetNext(c, *next);
  Switch(c, *prev, *next);
}

SimThread* Machine::Pick(Cpu& c, SimThread* prev) {
  if (!c.host.empty()) return c.host.front();
  SimThread* next = nullptr;
  return PickExt(c, prev, &next) ? next : c.idle.get();
}

// balance_one() and pick_task_scx().
bool Machine::PickExt(Cpu& c, SimThread* prev, SimThread** next) {
  const bool prev_here =
      prev != c.idle.get() && IsExt(*prev) && (prev->scx.flags & SCX_TASK_QUEUED);
  *next = prev;
  if (prev_here && prev->scx.slice != 0) return true;
  for (int round = 0; round < kDispatchRounds && c.local.threads.empty() && c.active; ++round) {
    c.moved = 0;
    {
      const ClassContext context(*this, c.id, prev);
      corral_ops.dispatch(c.id, prev != c.idle.get() && IsExt(*prev) ? prev : nullptr);
    }
    if (prev_here && prev->scx.slice != 0 && c.local.threads.empty()) return true;
    if (c.moved == 0) break;
  }
  if (c.local.threads.empty()) return false;
  *next = c.local.threads.front();
  if ((*next)->scx.slice == 0) (*next)->scx.slice = SCX_SLICE_DFL;
  return true;
}

// put_prev_task_scx(). A host's thread just stays in its queue.
void Machine::PutPrev(Cpu& c, SimThread& prev, const SimThread& next) {
  if (&prev == c.idle.get() || !IsExt(prev) || !(prev.scx.flags & SCX_TASK_QUEUED)) return;
  {
    const ClassContext context(*this, c.id, &prev);
    corral_ops.stopping(&prev, true);
  }
  prev.waits_since_ = now_;
  if (prev.scx.slice != 0) return IntoLocal(c, prev, /*head=*/true);
  EnqueueExt(prev, &next == c.idle.get() ? SCX_ENQ_LAST : 0, /*stays=*/false);
}

void Machine::SetNext(Cpu& c, SimThread& next) {
  if (&next == c.idle.get() || !IsExt(next)) return;
  LeaveDsq(next);
  const ClassContext context(*this, c.id, c.curr);
  corral_ops.running(&next);
}

// The switch itself, as the tracepoint tells it.
void Machine::Switch(Cpu& c, SimThread& prev, SimThread& next) {
  for (const int sibling : cores_[c.core]) {
    if (sibling != c.id) Charge(cpus_[sibling]);
  }
  {
    const ClassContext context(*this, c.id, &prev);
    ghost_sched_switch(false, &prev, &next);
  }
  const bool from_idle = Idle(c);
  for (SwitchObserver* observer : observers_) {
    observer->Switched(now_, c.id, from_idle ? nullptr : &prev,
                       &next == c.idle.get() ? nullptr : &next);
  }
  prev.on_cpu = 0;
  c.curr = &next;
  if (&next != c.idle.get()) {
    next.on_cpu = 1;
    if (&next != c.stopper.get()) next.debt_ += SwitchCost(c, next);
    next.last_cpu_ = c.id;
    next.longest_wait_ = std::max(next.longest_wait_, now_ - next.waits_since_);
  }
  for (const int sibling : cores_[c.core]) Arm(cpus_[sibling]);
  if (prev.dead_) FinishExit(c, prev);
  if (!c.ticking && &next != c.idle.get() && IsExt(next)) {
    c.ticking = true;
    // Each CPU's ticks fall between those of the others.
    const Duration phase = spec_.costs.tick * c.id / static_cast<int64_t>(cpus_.size());
    const Duration since = (now_.time_since_epoch() + spec_.costs.tick - phase) % spec_.costs.tick;
    OnCpu(
        c.id, [this, &c] { Tick(c); }, now_ + spec_.costs.tick - since);
  }
}

}  // namespace corral::sim
