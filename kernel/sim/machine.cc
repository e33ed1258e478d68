// SPDX-License-Identifier: Apache-2.0
// The machine's construction, its clock, and what the class calls. One CPU's choice: schedule.cc.
#include "kernel/sim/machine.h"

#include <sched.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace corral::sim {
namespace {

constexpr uint32_t kKernelThread = 0x00200000;  // PF_KTHREAD

}  // namespace

Machine::ClassContext::ClassContext(Machine& machine, int cpu, task_struct* current)
    : before(sim_current),
      context{.arrays = machine.memory_.arrays(),
              .first_map = machine.memory_.first_map(),
              .current = current,
              .now_ns = static_cast<u64>(machine.now_.time_since_epoch().count()),
              .cpu = static_cast<u32>(cpu),
              .fault = machine.spec_.fault,
              .machine = &machine} {
  sim_current = &context;
}

Machine::ClassContext::~ClassContext() { sim_current = before; }

Machine::ClassContext Machine::InClass() {
  return ClassContext(*this, executing_, cpus_[executing_].curr);
}

Machine::~Machine() = default;

absl::StatusOr<std::unique_ptr<Machine>> Machine::Create(const Spec& spec) {
  std::unique_ptr<Machine> machine(new Machine(spec));
  if (const absl::Status status = machine->Build(); !status.ok()) return status;
  if (const absl::Status status = machine->LoadClass(); !status.ok()) return status;
  return machine;
}

absl::Status Machine::Build() {
  int highest = -1;
  for (const SimCore& core : spec_.cores) {
    if (core.cpus.empty() || core.cpus.size() > GHOST_MAX_SIBLINGS) {
      return absl::InvalidArgumentError(absl::StrCat("a core with ", core.cpus.size(),
                                                     " SMT siblings; 1 to ", GHOST_MAX_SIBLINGS,
                                                     " are possible"));
    }
    for (const CpuId cpu : core.cpus) {
      if (cpu.value() < 0 || cpu.value() >= static_cast<int>(CpuSet::kMaxCpus) ||
          all_.Contains(cpu)) {
        return absl::InvalidArgumentError(
            absl::StrCat("CPU ", cpu.value(), " is in two cores, or beyond ", CpuSet::kMaxCpus));
      }
      all_.Insert(cpu);
      highest = std::max(highest, cpu.value());
    }
  }
  if (highest < 0) return absl::InvalidArgumentError("a machine has at least one core");
  cpus_.resize(highest + 1);
  for (size_t c = 0; c < spec_.cores.size(); ++c) {
    cores_.emplace_back();
    for (const CpuId id : spec_.cores[c].cpus) {
      Cpu& cpu = cpus_[id.value()];
      cpu.id = id.value();
      cpu.core = static_cast<int>(c);
      cpu.present = true;
      cpu.local.id = SCX_DSQ_LOCAL;
      cores_.back().push_back(id.value());
      cpu.idle = std::make_unique<SimThread>("idle", nullptr);
      cpu.idle->flags = kKernelThread;
      cpu.idle->cpu_ = cpu.id;
      cpu.curr = cpu.idle.get();
    }
  }
  for (Cpu& cpu : cpus_) {
    if (!cpu.present) continue;
    cpu.stopper = std::make_unique<SimThread>(absl::StrCat("migration/", cpu.id), nullptr);
    cpu.stopper->pid = cpu.stopper->tgid = next_tid_++;
    cpu.stopper->flags = kKernelThread;
    cpu.stopper->policy = SCHED_FIFO;
    cpu.stopper->realtime = true;  // and before those, see Enqueue()
    cpu.stopper->cpu_ = cpu.id;
    cpu.stopper->affinity_.Insert(CpuId(cpu.id));
  }
  return absl::OkStatus();
}

absl::Status Machine::LoadClass() {
  std::vector<ClassCore> cores;
  for (size_t c = 0; c < cores_.size(); ++c) {
    ClassCore& core = cores.emplace_back();
    core.node = spec_.cores[c].node;
    for (const int id : cores_[c]) core.siblings.Insert(CpuId(id));
  }
  memory_.Allocate(ClassLayout(
      cores, {.tasks = spec_.tasks, .domains = spec_.domains, .whole_host = spec_.whole_host}));
  for (Cpu& c : cpus_) {
    if (c.present) Disturb(c, spec_.costs.kernel_threads_every * c.id / cpus_.size());
  }
  executing_ = all_.First().value();
  {
    const ClassContext context = InClass();
    if (const int error = corral_ops.init(); error != 0)
      return absl::InternalError(absl::StrCat("the class's init failed: ", error));
  }
  StartRcu();
  return absl::OkStatus();
}

void Machine::RunUntil(Time end) {
  while (!events_.empty() && events_.next() <= end) {
    now_ = events_.next();
    executing_ = all_.First().value();
    events_.Take()();
  }
  now_ = end;
  executing_ = all_.First().value();
}

Duration Machine::CpuTime(const SimThread& thread) const {
  const Cpu& c = cpus_[thread.cpu_];
  return thread.cpu_time_ + (c.curr == &thread ? now_ - c.charged_at : Duration(0));
}

Duration Machine::LongestWait(const SimThread& thread) const {
  const bool waits = thread.on_rq != 0 && thread.on_cpu == 0;
  return std::max(thread.longest_wait_, waits ? now_ - thread.waits_since_ : Duration(0));
}

void Machine::OnCpu(int cpu, EventQueue::Action action, Time when) {
  events_.Add(when, [this, cpu, action = std::move(action)] {
    executing_ = cpu;
    action();
  });
}

// Without them a thread that has a CPU for itself would never be switched, as on no real machine.
void Machine::Disturb(Cpu& c, Duration in) {
  At(now_ + in, [this, &c] {
    if (c.online && !Idle(c)) Stop(c, [] {});
    Disturb(c, spec_.costs.kernel_threads_every);
  });
}

void Machine::ShowRunQueue(SimThread& thread) {
  Cpu& c = cpu_of(thread);
  c.run_queue.nr_running = static_cast<u32>(c.host.size());
  c.run_queue.cfs.rq = &c.run_queue;
  thread.se.cfs_rq = &c.run_queue.cfs;
}

// task_should_scx()
bool Machine::IsExt(const SimThread& thread) const {
  return thread.policy == kSchedExtPolicy ||
         (spec_.whole_host && thread.pid != 0 && !thread.realtime);
}

const SimThread* Machine::Running(CpuId cpu) const {
  const Cpu& c = cpus_[cpu.value()];
  return Idle(c) ? nullptr : c.curr;
}

SimThread* Machine::Find(pid_t tid) {
  const auto found = by_tid_.find(tid);
  return found == by_tid_.end() ? nullptr : found->second;
}

// ---- what the class calls ----

// Kicks for one CPU that are under way at the same time become one.
void Machine::Kick(int cpu, uint64_t flags) {
  if (cpu < 0 || cpu >= static_cast<int>(cpus_.size()) || !cpus_[cpu].present) return;
  Cpu& c = cpus_[cpu];
  c.kick_flags |= flags;
  c.kick_all = c.kick_all || (flags & SCX_KICK_IDLE) == 0;
  if (std::exchange(c.kicked, true)) return;
  OnCpu(
      cpu, [this, &c] { OnKick(c); }, now_ + spec_.costs.kick);
}

bool Machine::CreateDsq(uint64_t id) {
  std::unique_ptr<Dsq>& dsq = dsqs_[id];
  if (dsq != nullptr) return false;
  dsq = std::make_unique<Dsq>();
  dsq->id = id;
  return true;
}

uint32_t Machine::DsqLength(uint64_t id) const {
  if ((id & SCX_DSQ_LOCAL_ON) == SCX_DSQ_LOCAL_ON)
    return static_cast<uint32_t>(cpus_[static_cast<uint32_t>(id)].local.threads.size());
  const auto found = dsqs_.find(id);
  return found == dsqs_.end() ? 0 : static_cast<uint32_t>(found->second->threads.size());
}

void Machine::Insert(SimThread& thread, uint64_t dsq, uint64_t slice) {
  Dsq& queue = *dsqs_.at(dsq);
  thread.scx.slice = slice;
  thread.scx.dsq = &queue;
  queue.threads.push_back(&thread);
}

// As consume_dispatch_queue(): the first one that may use this CPU. For one of another CPU's run
// queue the lock of this one's is dropped, and the thread may be changed or gone afterwards.
bool Machine::MoveToLocal(uint64_t dsq) {
  const auto found = dsqs_.find(dsq);
  if (found == dsqs_.end()) return false;
  Cpu& c = cpus_[sim_current->cpu];
  for (SimThread* thread : found->second->threads) {
    const bool here = thread->cpu_ == c.id;
    if (!c.active || (!here && (thread->pinned_ || !thread->affinity_.Contains(CpuId(c.id)))))
      continue;
    LeaveDsq(*thread);
    if (!here && while_unlocked) {
      const uint64_t changes = thread->dequeues_;
      while_unlocked(CpuId(c.id));
      if (thread->dequeues_ != changes) return false;
    }
    --cpu_of(*thread).nr_running;
    ++c.nr_running;
    thread->cpu_ = c.id;
    IntoLocal(c, *thread, /*head=*/false);
    ++c.moved;
    return true;
  }
  return false;
}

void Machine::Reenqueue(SimThread& thread) {
  LeaveDsq(thread);
  EnqueueExt(thread, SCX_ENQ_REENQ, /*stays=*/false);
}

void Machine::ReenqueueLocal(int cpu) {
  if (cpu < 0 || cpu >= static_cast<int>(cpus_.size()) || !cpus_[cpu].present) return;
  Cpu& c = cpus_[cpu];
  OnCpu(
      cpu,
      [this, &c] {
        const std::deque<SimThread*> threads = c.local.threads;
        for (SimThread* thread : threads) Reenqueue(*thread);
      },
      now_);
}

// Each by the CPU whose run queue it is in.
void Machine::ReenqueueShared(uint64_t dsq) {
  const auto found = dsqs_.find(dsq);
  if (found == dsqs_.end()) return;
  for (SimThread* const thread : found->second->threads) {
    OnCpu(
        thread->cpu_,
        [this, thread, queue = found->second.get()] {
          if (thread->scx.dsq == queue) Reenqueue(*thread);
        },
        now_);
  }
}

void Machine::StartTimer(void* timer, Time when) {
  const uint64_t arming = ++timers_[timer];
  const int cpu = sim_current != nullptr ? static_cast<int>(sim_current->cpu) : executing_;
  const auto callback = reinterpret_cast<sim_timer_callback>(static_cast<u64*>(timer)[0]);
  OnCpu(
      cpu,
      [this, timer, arming, callback, cpu] {
        if (timers_[timer] != arming) return;
        const ClassContext context(*this, cpu, cpus_[cpu].curr);
        callback(nullptr, nullptr, timer);
      },
      std::max(when, now_));
}

void Machine::CancelTimer(void* timer) { ++timers_[timer]; }

}  // namespace corral::sim

// ---- the C functions that the class is linked with ----

namespace {

corral::sim::Machine& ThisMachine() {
  return *static_cast<corral::sim::Machine*>(sim_current->machine);
}
corral::sim::SimThread& ThreadOf(task_struct* p) {
  return *static_cast<corral::sim::SimThread*>(p);
}

}  // namespace

extern "C" {

void* sim_ring_reserve(void* ring) {
  auto* const r = static_cast<corral::sim::Ring*>(ring);
  sim_current->reserved = r;
  return r->Reserve();
}
void sim_ring_submit(void*, u64 flags) {
  auto* const r = static_cast<corral::sim::Ring*>(sim_current->reserved);
  r->Submit();
  if ((flags & BPF_RB_NO_WAKEUP) == 0) r->WakeReader();
}
void sim_ring_discard(void*, u64 flags) {
  if ((flags & BPF_RB_NO_WAKEUP) == 0)
    static_cast<corral::sim::Ring*>(sim_current->reserved)->WakeReader();
}

long sim_timer_init(bpf_timer*) { return 0; }
long sim_timer_set_callback(bpf_timer* timer, sim_timer_callback callback) {
  timer->opaque[0] = reinterpret_cast<u64>(callback);
  return 0;
}
long sim_timer_start(bpf_timer* timer, u64 ns, u64 flags) {
  const corral::Duration time(static_cast<int64_t>(ns));
  ThisMachine().StartTimer(timer, flags != 0 ? corral::Time(time) : ThisMachine().now() + time);
  return 0;
}
long sim_timer_cancel(bpf_timer* timer) {
  ThisMachine().CancelTimer(timer);
  return 0;
}

void scx_bpf_kick_cpu(s32 cpu, u64 flags) { ThisMachine().Kick(cpu, flags); }
s32 scx_bpf_create_dsq(u64 id, s32) { return ThisMachine().CreateDsq(id) ? 0 : -EEXIST; }
s32 scx_bpf_dsq_nr_queued(u64 id) { return static_cast<s32>(ThisMachine().DsqLength(id)); }
s32 scx_bpf_task_cpu(const task_struct* p) {
  return static_cast<const corral::sim::SimThread*>(p)->cpu();
}
void scx_bpf_dsq_insert(task_struct* p, u64 dsq, u64 slice, u64) {
  ThisMachine().Insert(ThreadOf(p), dsq, slice);
}
bool scx_bpf_dsq_move_to_local(u64 dsq) { return ThisMachine().MoveToLocal(dsq); }
bool scx_bpf_task_set_slice(task_struct* p, u64 slice) {
  p->scx.slice = slice;
  return true;
}
void scx_bpf_reenqueue_local___v2___compat(void) {
  ThisMachine().ReenqueueLocal(static_cast<int>(sim_current->cpu));
}
void scx_bpf_dsq_reenq(u64 dsq, u64) {
  if ((dsq & SCX_DSQ_LOCAL_ON) == SCX_DSQ_LOCAL_ON) {
    ThisMachine().ReenqueueLocal(static_cast<int>(dsq & 0xffffffff));
  } else {
    ThisMachine().ReenqueueShared(dsq);
  }
}
task_struct* bpf_task_from_pid(s32 pid) { return ThisMachine().Find(pid); }
void bpf_task_release(task_struct*) {}

}  // extern "C"
