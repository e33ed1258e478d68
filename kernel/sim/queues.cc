// SPDX-License-Identifier: Apache-2.0
// Runnable threads: how they get into and out of the kernel's and the class's queues.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "kernel/sim/machine.h"

namespace corral::sim {

void Machine::Wake(SimThread& t) {
  if (t.dead_) return;
  ++t.sleeps_;
  if (t.on_rq != 0) {
    t.wake_pending_ = true;
    return;
  }
  // Not before it has left its CPU for good.
  if (t.on_cpu != 0)
    return OnCpu(
        executing_, [this, &t] { Wake(t); }, now_);
  t.waits_since_ = now_;
  int cpu;
  if (IsExt(t)) {
    const ClassContext context = InClass();
    cpu = ChooseCpu(t, corral_ops.select_cpu(&t, t.cpu_, SCX_ENQ_WAKEUP));
  } else {
    cpu = ChooseHostCpu(t);
  }
  if (!t.affinity_.Contains(CpuId(cpu))) TellMask(t, all_);
  t.cpu_ = cpu;
  Enqueue(t, SCX_ENQ_WAKEUP, /*stays=*/false);
}

void Machine::Interrupt(SimThread& t) {
  if (t.on_rq == 0) return Wake(t);
  Cpu& c = cpu_of(t);
  const bool on_cpu = c.curr == &t;
  if (on_cpu) Charge(c);
  t.has_step_ = false;
  t.remaining_ = Duration(0);
  if (on_cpu) Arm(c);
}

int Machine::YieldTo(SimThread& self, SimThread& target) {
  Cpu& here = cpu_of(self);
  Cpu& there = cpu_of(target);
  if (here.nr_running == 1 && there.nr_running == 1) return -ESRCH;
  if (!IsExt(self) || !IsExt(target) || target.on_cpu != 0 || target.on_rq == 0) return 0;
  {
    const ClassContext context(*this, here.id, &self);
    if (!corral_ops.yield(&self, &target)) return 0;
  }
  self.yielded_ = true;
  const auto resched = [this, &there] {
    if (there.online) Schedule(there);
  };
  if (&there != &here) OnCpu(there.id, resched, now_ + spec_.costs.kick);
  return 1;
}

// select_fallback_rq(): where the class's wish may not be had. A thread whose CPUs are all gone may
// use any.
int Machine::ChooseCpu(const SimThread& t, int wanted) const {
  const auto fits = [&](int cpu) {
    return cpu >= 0 && cpu < static_cast<int>(cpus_.size()) && cpus_[cpu].present &&
           cpus_[cpu].allowed && t.affinity_.Contains(CpuId(cpu));
  };
  if (fits(wanted)) return wanted;
  if (fits(t.cpu_)) return t.cpu_;
  for (const Cpu& c : cpus_) {
    if (fits(c.id)) return c.id;
  }
  for (const Cpu& c : cpus_) {
    if (c.present && c.allowed) return c.id;
  }
  return wanted;
}

int Machine::ChooseHostCpu(const SimThread& t) const {
  int best = -1;
  int best_rank = 4;
  for (size_t i = 0; i < cpus_.size(); ++i) {
    const Cpu& c = cpus_[(t.cpu_ + i) % cpus_.size()];
    if (!c.present || !c.allowed || !t.affinity_.Contains(CpuId(c.id))) continue;
    // An idle CPU, one of a task of the class, and only then one of the host.
    const int rank = Idle(c) ? 0 : c.host.empty() ? 1 : 2;
    if (rank < best_rank) {
      best = c.id;
      best_rank = rank;
    }
    if (rank == 0) break;
  }
  return best >= 0 ? best : ChooseCpu(t, t.cpu_);
}

void Machine::Enqueue(SimThread& t, uint64_t flags, bool stays) {
  t.on_rq = 1;
  Cpu& c = cpu_of(t);
  ++c.nr_running;
  if (!IsExt(t)) {
    if (&t == c.stopper.get()) {
      c.host.push_front(&t);
    } else {
      const auto behind =
          t.realtime ? std::find_if(c.host.begin(), c.host.end(),
                                    [](const SimThread* other) { return !other->realtime; })
                     : c.host.end();
      c.host.insert(behind, &t);
    }
    if (c.host.front() == &t && c.curr != &t) Resched(c);
    return;
  }
  t.scx.flags |= SCX_TASK_QUEUED;
  EnqueueExt(t, flags, stays);
}

// do_enqueue_task(). What stays on its CPU, and what comes to a CPU that goes or comes, is put into
// the local queue without a question.
void Machine::EnqueueExt(SimThread& t, uint64_t flags, bool stays) {
  Cpu& c = cpu_of(t);
  if (stays || !c.active) return IntoLocal(c, t, /*head=*/false);
  const ClassContext context = InClass();
  corral_ops.enqueue(&t, flags);
}

void Machine::IntoLocal(Cpu& c, SimThread& t, bool head) {
  t.scx.dsq = &c.local;
  if (head) {
    c.local.threads.push_front(&t);
  } else {
    c.local.threads.push_back(&t);
  }
  if (Idle(c)) Resched(c);
}

void Machine::LeaveDsq(SimThread& t) {
  if (t.scx.dsq == nullptr) return;
  std::deque<SimThread*>& threads = static_cast<Dsq*>(t.scx.dsq)->threads;
  threads.erase(std::find(threads.begin(), threads.end(), &t));
  t.scx.dsq = nullptr;
}

// dequeue_task_scx(); a migration is not told. The thread counts as runnable meanwhile.
void Machine::Dequeue(SimThread& t, uint64_t flags, bool migrating) {
  Cpu& c = cpu_of(t);
  ++t.dequeues_;
  --c.nr_running;
  if (!IsExt(t)) {
    c.host.erase(std::find(c.host.begin(), c.host.end(), &t));
    return;
  }
  const bool running = c.curr == &t;
  if (running) Charge(c);
  {
    const ClassContext context = InClass();
    if (running && t.scx.dsq == nullptr) corral_ops.stopping(&t, false);
    if (!migrating) corral_ops.quiescent(&t, flags);
  }
  t.scx.flags &= ~SCX_TASK_QUEUED;
  LeaveDsq(t);
}

}  // namespace corral::sim
