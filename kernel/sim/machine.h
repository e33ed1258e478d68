// SPDX-License-Identifier: Apache-2.0
// A simulated machine that runs the scheduling class: CPUs, threads, the kernel's own scheduling
// around the class, and a clock that only events move.
//
// The class is not imitated. kernel/bpf/ghost.bpf.c is compiled for this machine (native/), and its
// callbacks are called where a kernel would call them; what is simulated is that kernel:
// sched_ext's queues and picks, the classes above it, IPIs, ticks, hotplug, migration. Each
// callback is one indivisible step, so interleavings within a callback are tests/model's subject,
// not this one's.
//
// Deterministic: the same specification and the same calls give the same events, on any machine.
// Not thread-safe; several machines may live in several threads, or in one.
// Source: kernel/sched/core.c and kernel/sched/ext/ of Linux 7.2, by behaviour.
#ifndef CORRAL_KERNEL_SIM_MACHINE_H_
#define CORRAL_KERNEL_SIM_MACHINE_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernel/cpu_set.h"
#include "kernel/sim/class_memory.h"
#include "kernel/sim/costs.h"
#include "kernel/sim/event_queue.h"
#include "kernel/sim/thread.h"
#include "kernel/types.h"

namespace corral::sim {

struct SimCore {
  std::vector<CpuId> cpus;
  int node = 0;
  int l3 = 0;
};

// Who watches, for audit and pictures. Called at each context switch; nullptr is the idle task.
class SwitchObserver {
 public:
  virtual ~SwitchObserver() = default;
  virtual void Switched(Time now, int cpu, const SimThread* from, const SimThread* to) = 0;
};

class Machine {
 public:
  struct Spec {
    std::vector<SimCore> cores;
    Costs costs;
    uint32_t tasks = 4096;
    uint32_t domains = 512;
    uint32_t queue_messages = 3640;  // as fit into the real class's rings
    uint32_t fault = 0;              // enum corral_seeded_fault
    bool whole_host = false;         // ClassSizes::whole_host
  };
  // InvalidArgument: a core without CPUs, or a CPU twice. The class is loaded then.
  static absl::StatusOr<std::unique_ptr<Machine>> Create(const Spec& spec);
  ~Machine();

  // ---- time ----
  Time now() const { return now_; }
  void At(Time when, EventQueue::Action action) {
    events_.Add(std::max(when, now_), std::move(action));
  }
  void RunUntil(Time end);
  void RunFor(Duration time) { RunUntil(now_ + time); }
  uint64_t events() const { return events_.taken(); }

  // ---- threads ----
  // A thread of the host, asleep, allowed everywhere. tgid 0: a process of its own.
  SimThread& NewThread(std::string name, std::unique_ptr<Program> program, pid_t tgid = 0);
  // A copy of `parent`'s place in the world (policy, affinity, domain), which runs at once.
  SimThread& Fork(SimThread& parent, std::string name, std::unique_ptr<Program> program);
  void Wake(SimThread& thread);
  // Its step is over: the program is asked anew, as soon as it has a CPU.
  void Interrupt(SimThread& thread);
  // The kernel's yield_to(target, true), by the program of `self`, which has a CPU. 1: the class
  // did something, and the kernel chooses anew before the program's next step. 0: it refused.
  // -ESRCH: nobody but these two wants their CPUs. Source: kernel/sched/syscalls.c, by behaviour.
  int YieldTo(SimThread& self, SimThread& target);
  void SetAffinity(SimThread& thread, const CpuSet& cpus);
  void SetNice(SimThread& thread, int nice);
  // SCHED_EXT, or one of the classes above it.
  void SetPolicy(SimThread& thread, int policy);
  SimThread* Find(pid_t tid);
  Duration CpuTime(const SimThread& thread) const;      // up to now
  Duration LongestWait(const SimThread& thread) const;  // for a CPU, up to now

  // ---- CPUs ----
  // Begins at once and takes some time: Online() tells.
  void SetOnline(CpuId cpu, bool online);
  bool Online(CpuId cpu) const { return cpus_[cpu.value()].online; }
  bool GoingDown(CpuId cpu) const { return cpus_[cpu.value()].going_down; }
  const SimThread* Running(CpuId cpu) const;  // nullptr: it idles
  void Observe(SwitchObserver* observer) { observers_.push_back(observer); }

  // For faults: called where a kernel drops a CPU's lock in the middle of its pick. It may change
  // threads, this CPU's present one included.
  std::function<void(CpuId)> while_unlocked;

  // ---- the class ----
  const Spec& spec() const { return spec_; }
  ClassMemory& memory() { return memory_; }
  // Calls one of the class's programs as the thread `caller`, on its CPU.
  template <typename Program, typename Args>
  void CallClass(SimThread& caller, Program program, Args* args) {
    ShowRunQueue(caller);
    const ClassContext context(*this, caller.cpu(), &caller);
    program(args);
  }

  // ---- what the class calls (native_class.h) ----
  void Kick(int cpu, uint64_t flags);
  bool CreateDsq(uint64_t id);
  uint32_t DsqLength(uint64_t id) const;
  void Insert(SimThread& thread, uint64_t dsq, uint64_t slice);
  bool MoveToLocal(uint64_t dsq);  // of the CPU that is at its pick
  void ReenqueueLocal(int cpu);
  void ReenqueueShared(uint64_t dsq);
  void StartTimer(void* timer, Time when);
  void CancelTimer(void* timer);

 private:
  struct Dsq : scx_dispatch_q {
    std::deque<SimThread*> threads;
  };
  struct Cpu {
    int id = -1;
    int core = 0;
    bool present = false;
    bool online = true;  // it schedules
    bool going_down = false;
    bool allowed = true;  // threads may be sent here
    bool active = true;   // the class is asked about tasks that are queued here
    SimThread* curr = nullptr;
    std::unique_ptr<SimThread> idle;
    std::unique_ptr<SimThread> stopper;
    std::vector<std::function<void()>> stopper_work;
    Dsq local;
    std::deque<SimThread*> host;  // runnable threads of the classes above, curr included
    rq run_queue = {};            // what the class sees of it
    Time charged_at{};
    uint64_t arming = 0;  // tells a step's end whether it is still the present one
    uint64_t kick_flags = 0;
    bool kicked = false;
    bool kick_all = false;  // one of the kicks was not for idle CPUs only
    bool ticking = false;
    int moved = 0;       // into the local queue, by this dispatch
    int nr_running = 0;  // threads of its run queue, of all classes, curr included
  };
  // Sets sim_context for a call into the class.
  struct ClassContext {
    ClassContext(Machine& machine, int cpu, task_struct* current);
    ~ClassContext();
    ClassContext(const ClassContext&) = delete;
    sim_context* const before;
    sim_context context;
  };

  explicit Machine(const Spec& spec) : spec_(spec) {}
  absl::Status Build();
  absl::Status LoadClass();
  Cpu& cpu_of(const SimThread& thread) { return cpus_[thread.cpu_]; }
  bool IsExt(const SimThread& thread) const;
  void ShowRunQueue(SimThread& thread);
  bool Idle(const Cpu& c) const { return c.curr == c.idle.get(); }
  // On behalf of the CPU whose event this is, and of the thread that runs there.
  ClassContext InClass();
  void OnCpu(int cpu, EventQueue::Action action, Time when);
  void Disturb(Cpu& c, Duration in);
  class RcuThread;
  void StartRcu();

  // schedule.cc: one CPU's choice
  void Schedule(Cpu& c);
  SimThread* Pick(Cpu& c, SimThread* prev);
  bool PickExt(Cpu& c, SimThread* prev, SimThread** next);
  void PutPrev(Cpu& c, SimThread& prev, const SimThread& next);
  void SetNext(Cpu& c, SimThread& next);
  void Switch(Cpu& c, SimThread& prev, SimThread& next);
  void Charge(Cpu& c);
  int Speed(const Cpu& c) const;
  void Arm(Cpu& c);
  void StepOver(Cpu& c, uint64_t arming);
  void Tick(Cpu& c);
  Duration SwitchCost(const Cpu& c, const SimThread& next) const;
  void OnKick(Cpu& c);
  void Resched(Cpu& c);

  // queues.cc: runnable threads
  void Enqueue(SimThread& thread, uint64_t flags, bool stays);
  void EnqueueExt(SimThread& thread, uint64_t flags, bool stays);
  void Dequeue(SimThread& thread, uint64_t flags, bool migrating);
  void LeaveDsq(SimThread& thread);
  void Reenqueue(SimThread& thread);
  void IntoLocal(Cpu& c, SimThread& thread, bool head);
  int ChooseCpu(const SimThread& thread, int wanted) const;
  int ChooseHostCpu(const SimThread& thread) const;

  // life.cc: threads come, change and go
  template <typename F>
  void Change(SimThread& thread, F change);
  void EnterExt(SimThread& thread);
  void BeginExit(SimThread& thread);
  void FinishExit(Cpu& c, SimThread& thread);
  void MoveAway(SimThread& thread);
  void LeaveForbiddenCpu(SimThread& thread);
  void Stop(Cpu& c, std::function<void()> work);
  void TakeDown(Cpu& c);
  void AwaitGracePeriod(Cpu& c, uint64_t last);
  void BringUp(Cpu& c);
  void PushOff(Cpu& c);
  void SetMask(SimThread& thread, const CpuSet& cpus);
  void TellMask(SimThread& thread, const CpuSet& cpus);

  const Spec spec_;
  Time now_{};
  EventQueue events_;
  ClassMemory memory_;
  std::vector<Cpu> cpus_;
  std::vector<std::vector<int>> cores_;  // CPU ids
  std::vector<std::unique_ptr<SimThread>> threads_;
  absl::flat_hash_map<pid_t, SimThread*> by_tid_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<Dsq>> dsqs_;
  absl::flat_hash_map<void*, uint64_t> timers_;  // the present arming of each
  std::vector<SwitchObserver*> observers_;
  uint64_t grace_periods_ = 0;  // with whole_host only
  CpuSet all_;
  pid_t next_tid_ = 1000;
  int executing_ = 0;  // the CPU on whose behalf the present event happens
};

}  // namespace corral::sim

#endif  // CORRAL_KERNEL_SIM_MACHINE_H_
