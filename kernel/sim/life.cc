// SPDX-License-Identifier: Apache-2.0
// Threads come, change and go; and so do CPUs.
#include <algorithm>
#include <utility>

#include "kernel/sim/machine.h"

namespace corral::sim {
namespace {

constexpr uint32_t kExiting = 0x00000004;  // PF_EXITING
constexpr int kNormalWeight = 100;         // of nice 0, on sched_ext's scale
// From the notification that a CPU goes down, or comes, until it does.
constexpr Duration kHotplugStep = std::chrono::microseconds(200);
constexpr Duration kGracePeriod = std::chrono::microseconds(20);
constexpr Duration kBetweenGracePeriods = std::chrono::milliseconds(1);

// Each step of nice is a quarter more or less, as in the kernel.
uint32_t WeightOf(int nice) {
  uint64_t weight = kNormalWeight * 1000;
  for (int i = 0; i < nice; ++i) weight = weight * 4 / 5;
  for (int i = 0; i > nice; --i) weight = weight * 5 / 4;
  return std::max<uint32_t>(1, static_cast<uint32_t>(weight / 1000));
}

}  // namespace

void Machine::SetMask(SimThread& t, const CpuSet& cpus) {
  t.affinity_ = cpus;
  t.nr_cpus_allowed = static_cast<int>(cpus.size());
  t.cpus_mask = {};
  cpus.ForEach(
      [&](CpuId cpu) { t.cpus_mask.bits[cpu.value() / 64] |= uint64_t{1} << (cpu.value() % 64); });
  t.cpus_ptr = &t.cpus_mask;
}

void Machine::TellMask(SimThread& t, const CpuSet& cpus) {
  SetMask(t, cpus);
  if (!IsExt(t)) return;
  const ClassContext context = InClass();
  corral_ops.set_cpumask(&t, t.cpus_ptr);
}

SimThread& Machine::NewThread(std::string name, std::unique_ptr<Program> program, pid_t tgid) {
  threads_.push_back(std::make_unique<SimThread>(std::move(name), std::move(program)));
  SimThread& t = *threads_.back();
  t.pid = next_tid_++;
  t.tgid = tgid != 0 ? tgid : t.pid;
  t.cpu_ = all_.First().value();
  SetMask(t, all_);
  by_tid_[t.pid] = &t;
  if (IsExt(t)) EnterExt(t);
  return t;
}

SimThread& Machine::Fork(SimThread& parent, std::string name, std::unique_ptr<Program> program) {
  SimThread& child = NewThread(std::move(name), std::move(program), parent.tgid);
  child.policy = parent.policy;
  child.vm = parent.vm;
  child.home_node = parent.home_node;
  child.nice = parent.nice;
  child.cpu_ = parent.cpu_;
  SetMask(child, parent.affinity_);
  {
    const ClassContext context(*this, parent.cpu_, &parent);
    scx_init_task_args args = {.fork = true};
    corral_ops.init_task(&child, &args);
  }
  if (IsExt(child)) EnterExt(child);
  Wake(child);
  return child;
}

// scx_enable_task(), and what switching_to_scx() does beside it.
void Machine::EnterExt(SimThread& t) {
  const ClassContext context = InClass();
  t.scx.flags = 0;
  t.scx.slice = SCX_SLICE_DFL;
  t.scx.weight = WeightOf(t.nice);
  corral_ops.enable(&t);
  corral_ops.set_weight(&t, t.scx.weight);
  corral_ops.set_cpumask(&t, t.cpus_ptr);
}

// The kernel's sched_change pattern: off its queue, changed, and back where it was.
template <typename F>
void Machine::Change(SimThread& t, F change) {
  Cpu& c = cpu_of(t);
  const bool queued = t.on_rq != 0;
  const bool running = c.curr == &t;
  if (queued) Dequeue(t, 0, /*migrating=*/false);
  change();
  if (queued) Enqueue(t, 0, running);
  if (!running) return;
  if (IsExt(t) && queued) {
    LeaveDsq(t);
    const ClassContext context = InClass();
    corral_ops.running(&t);
  }
  Resched(c);
}

void Machine::SetAffinity(SimThread& t, const CpuSet& cpus) {
  Change(t, [&] { TellMask(t, cpus); });
  if (t.on_rq != 0 && !t.pinned_ && !cpus.Contains(CpuId(t.cpu_))) LeaveForbiddenCpu(t);
}

// At once if it only waits there; from a CPU that it runs on, the stopper takes it.
void Machine::LeaveForbiddenCpu(SimThread& t) {
  Cpu& c = cpu_of(t);
  if (c.curr != &t) return MoveAway(t);
  Stop(c, [this, &t] {
    if (t.on_rq != 0 && !t.pinned_ && !t.affinity_.Contains(CpuId(t.cpu_))) MoveAway(t);
  });
}

void Machine::SetNice(SimThread& t, int nice) {
  Change(t, [&] {
    t.nice = nice;
    if (!IsExt(t)) return;
    const ClassContext context = InClass();
    t.scx.weight = WeightOf(nice);
    corral_ops.set_weight(&t, t.scx.weight);
  });
}

void Machine::SetPolicy(SimThread& t, int policy) {
  const int before = static_cast<int>(t.policy);
  if (before == policy || t.dead_) return;
  Change(t, [&] {
    const bool was_ext = IsExt(t);
    t.policy = policy;
    if (was_ext) {
      const ClassContext context = InClass();
      // The weight is set with the policy, in the class that the thread was in so far.
      corral_ops.set_weight(&t, t.scx.weight);
      if (!IsExt(t)) corral_ops.disable(&t);
    }
    if (IsExt(t) && !was_ext) EnterExt(t);
  });
}

// move_queued_task(): to a CPU that it may use.
void Machine::MoveAway(SimThread& t) {
  Dequeue(t, 0, /*migrating=*/true);
  const int cpu = IsExt(t) ? ChooseCpu(t, t.cpu_) : ChooseHostCpu(t);
  if (!t.affinity_.Contains(CpuId(cpu))) TellMask(t, all_);
  t.cpu_ = cpu;
  Enqueue(t, 0, /*stays=*/false);
}

void Machine::Stop(Cpu& c, std::function<void()> work) {
  c.stopper_work.push_back(std::move(work));
  SimThread& stopper = *c.stopper;
  if (stopper.on_rq != 0) return;
  stopper.has_step_ = true;
  stopper.remaining_ = spec_.costs.stopper;
  Enqueue(stopper, 0, /*stays=*/false);
}

void Machine::BeginExit(SimThread& t) {
  t.flags |= kExiting;
  t.dead_ = true;
  t.blocking_ = true;
}

void Machine::FinishExit(Cpu& c, SimThread& t) {
  const ClassContext context(*this, c.id, c.curr);
  if (IsExt(t)) corral_ops.disable(&t);
  scx_exit_task_args args = {.cancelled = false};
  corral_ops.exit_task(&t, &args);
  by_tid_.erase(t.pid);
}

// ---- CPU hotplug ----

void Machine::SetOnline(CpuId cpu, bool online) {
  Cpu& c = cpus_[cpu.value()];
  if (!c.present || c.online == online || c.going_down) return;
  if (online) {
    BringUp(c);
  } else {
    TakeDown(c);
  }
}

// A kernel's RCU thread, which always has something to do: each time that it has run, a grace
// period is over.
class Machine::RcuThread final : public Program {
 public:
  explicit RcuThread(uint64_t& periods) : periods_(periods) {}
  Step Next(SimThread&, Time) override {
    working_ = !working_;
    if (working_) return Step::Run(kGracePeriod);
    ++periods_;
    return Step::Sleep(kBetweenGracePeriods);
  }

 private:
  uint64_t& periods_;
  bool working_ = false;
};

// Outside the class nobody keeps it from its work.
void Machine::StartRcu() {
  if (!spec_.whole_host) return;
  Wake(NewThread("rcu", std::make_unique<RcuThread>(grace_periods_)));
}

// A thread that is there with migration disabled is waited for beforehand; a kernel waits later.
void Machine::TakeDown(Cpu& c) {
  c.going_down = true;
  for (const std::unique_ptr<SimThread>& t : threads_) {
    if (t->pinned_ && t->cpu_ == c.id) return At(now_ + kHotplugStep, [this, &c] { TakeDown(c); });
  }
  {
    const ClassContext context(*this, executing_, cpus_[executing_].idle.get());
    ghost_cpuhp_enter(c.id, CPUHP_OFFLINE, CPUHP_AP_ACTIVE, nullptr);
  }
  At(now_ + kHotplugStep, [this, &c] {
    c.allowed = c.active = false;
    AwaitGracePeriod(c, grace_periods_);
  });
}

// As synchronize_rcu() in sched_cpu_deactivate().
void Machine::AwaitGracePeriod(Cpu& c, uint64_t last) {
  if (spec_.whole_host && grace_periods_ == last)
    return At(now_ + kHotplugStep, [this, &c, last] { AwaitGracePeriod(c, last); });
  {
    const ClassContext context(*this, executing_, cpus_[executing_].idle.get());
    corral_ops.cpu_offline(c.id);
  }
  Stop(c, [this, &c] { PushOff(c); });
}

// By the CPU's own stopper: whatever is left goes elsewhere, and then the CPU is dead.
void Machine::PushOff(Cpu& c) {
  bool empty = true;
  for (const std::unique_ptr<SimThread>& t : threads_) {
    if (t->on_rq == 0 || t->cpu_ != c.id) continue;
    empty = false;
    if (!t->pinned_) MoveAway(*t);
  }
  At(now_ + kHotplugStep, [this, &c, empty] {
    if (!empty) return Stop(c, [this, &c] { PushOff(c); });
    c.online = c.going_down = false;
    const ClassContext context(*this, executing_, cpus_[executing_].idle.get());
    ghost_cpuhp_exit(c.id, CPUHP_OFFLINE, CPUHP_TEARDOWN_CPU, 0);
  });
}

// As sched_cpu_activate(): threads may be sent there before the class is asked about them. Stints
// on the siblings end before that: one of a thread that has left the class since would count as the
// class's, which cannot send it away. On a kernel the class waits for them; here a callback is one
// indivisible step.
void Machine::BringUp(Cpu& c) {
  {
    const ClassContext context(*this, executing_, cpus_[executing_].idle.get());
    ghost_cpuhp_enter(c.id, CPUHP_ONLINE, CPUHP_AP_ACTIVE, nullptr);
  }
  for (const int sibling : cores_[c.core]) {
    if (sibling != c.id && cpus_[sibling].online) Stop(cpus_[sibling], [] {});
  }
  At(now_ + kHotplugStep, [this, &c] {
    c.online = c.allowed = true;
    At(now_ + kHotplugStep, [this, &c] {
      const ClassContext context(*this, executing_, cpus_[executing_].idle.get());
      corral_ops.cpu_online(c.id);
      c.active = true;
      ghost_cpuhp_exit(c.id, CPUHP_AP_ACTIVE, CPUHP_AP_ACTIVE, 0);
      Resched(c);
    });
  });
}

}  // namespace corral::sim

extern "C" void* sim_new_storage(task_struct* p) {
  // As large as kernel/bpf's struct ghost_thread; the class's own table knows.
  return static_cast<corral::sim::SimThread*>(p)->MakeStorage(sim_thread_storage_size);
}
