// SPDX-License-Identifier: Apache-2.0
// A thread of the simulated machine, and the program that it runs.
//
// Everything here belongs to one Machine and is used by the thread that drives it. Times in ns.
#ifndef CORRAL_KERNEL_SIM_THREAD_H_
#define CORRAL_KERNEL_SIM_THREAD_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernel/cpu_set.h"
#include "kernel/sim/native/vmlinux.h"
#include "kernel/types.h"

namespace corral::sim {

class SimThread;

// What a thread does next, once it has the CPU and the last step is over.
struct Step {
  enum class Kind { kRun, kSleep, kBlock, kYield, kExit };
  Kind kind = Kind::kRun;
  // Of kRun: work, at the speed of a core for oneself. Of kSleep: until it wakes.
  Duration time{0};
  bool pinned = false;  // of kRun: in the kernel, where migration is disabled

  static constexpr Duration kForever = Duration::max();
  static Step Run(Duration work) { return {Kind::kRun, work}; }
  static Step RunPinned(Duration work) { return {Kind::kRun, work, true}; }
  static Step RunForever() { return {Kind::kRun, kForever}; }  // until Machine::Interrupt()
  static Step Sleep(Duration time) { return {Kind::kSleep, time}; }
  static Step Block() { return {Kind::kBlock, {}}; }  // until Machine::Wake(), which may be earlier
  static Step Yield() { return {Kind::kYield, {}}; }
  static Step Exit() { return {Kind::kExit, {}}; }
};

class Program {
 public:
  virtual ~Program() = default;
  // Called on the CPU. May wake, make and interrupt other threads.
  virtual Step Next(SimThread& self, Time now) = 0;
};

// The class sees the base, which is a kernel's task.
class SimThread : public task_struct {
 public:
  SimThread(std::string name, std::unique_ptr<Program> program)
      : task_struct{}, name_(std::move(name)), program_(std::move(program)) {}

  const std::string& name() const { return name_; }
  pid_t tid() const { return pid; }
  int cpu() const { return cpu_; }
  bool dead() const { return dead_; }
  bool running() const { return on_cpu != 0; }
  // On a CPU, or wants one.
  bool runnable() const { return on_rq != 0; }
  const CpuSet& affinity() const { return affinity_; }
  Duration cpu_time() const { return cpu_time_; }  // up to the last event of its CPU
  Duration work() const { return work_; }          // without what switches and migrations cost it
  Duration longest_wait() const { return longest_wait_; }
  Time waiting_since() const { return waits_since_; }  // when it last began to want a CPU

  // The class's own memory about the thread, zeroed.
  void* MakeStorage(size_t bytes) {
    storage_.assign((bytes + 7) / 8, 0);
    return storage_.data();
  }

  // Whose it is in the eyes of the auditor: 0 is the host. The class does not know this.
  uint32_t vm = 0;
  // Where its memory is; -1: everywhere. Elsewhere it is slower (Costs::remote_speed).
  int home_node = -1;
  // How much of a cache its work needs, as a multiple of what the costs of migrations are for.
  int footprint = 1;
  int nice = 0;
  // SCHED_FIFO: of the threads that are not in the class, before all others.
  bool realtime = false;

 private:
  friend class Machine;

  std::string name_;
  std::unique_ptr<Program> program_;
  CpuSet affinity_;
  int cpu_ = 0;
  int last_cpu_ = -1;  // that it ran on
  bool dead_ = false;
  bool pinned_ = false;  // migration is disabled: it can run on cpu_ and nowhere else
  bool has_step_ = false;
  bool blocking_ = false;      // leaves the CPU at the next schedule
  bool wake_pending_ = false;  // a Wake() came before the Block()
  bool yielded_ = false;       // by YieldTo(): schedules before its next step
  uint64_t dequeues_ = 0;
  uint64_t sleeps_ = 0;  // tells a timer whether its sleep is still the present one
  Duration remaining_{0};
  Duration debt_{0};  // switch and migration costs that are paid before work goes on
  Duration cpu_time_{0};
  Duration work_{0};
  Time waits_since_{};
  Duration longest_wait_{0};
  std::vector<uint64_t> storage_;
};

}  // namespace corral::sim

#endif  // CORRAL_KERNEL_SIM_THREAD_H_
