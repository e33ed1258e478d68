// SPDX-License-Identifier: Apache-2.0
// What a scheduling policy is: callbacks that mirror the class's messages, and one Schedule step.
//
// A per-core policy is two objects. PerCorePolicy stands for the enclave: it places tasks and makes
// the second, a CorePolicy for each core, which decides what that core runs. A loop of the runtime
// drives them, and tells them the same story whether it came by message, from a status word, or at
// a takeover. A CentralPolicy is one object, and decides for all CPUs of the enclave at once.
//
// Thread rules: a CorePolicy is called by the loop of its core only. The calls to PerCorePolicy
// come from the loop of the enclave's first core, the lead, while other cores run: they share
// nothing with the CorePolicies. No callback may block, take a lock or make a system call; of a
// LoopPolicy's, only TaskNew, TaskAffinityChanged and TaskAttributesChanged may allocate.
#ifndef CORRAL_AGENT_RUNTIME_POLICY_H_
#define CORRAL_AGENT_RUNTIME_POLICY_H_

#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "agent/runtime/enclave_transaction.h"
#include "agent/runtime/task.h"
#include "agent/runtime/transaction.h"
#include "kernel/cpu_set.h"
#include "kernel/types.h"

namespace corral {

// Each is called after the Task was brought up to date. A task is in the policy's hands from
// TaskNew to TaskDeparted.
class TaskEvents {
 public:
  virtual ~TaskEvents() = default;

  // task.state says whether it is blocked, queued, or already on a CPU (task.cpu) because the class
  // or a former agent put it there.
  virtual void TaskNew(Task& task, Time now) = 0;
  virtual void TaskWakeup(Task& task, Time now) = 0;   // was blocked, is queued
  virtual void TaskBlocked(Task& task, Time now) = 0;  // was queued or on a CPU
  virtual void TaskPreempt(Task& task,
                           Time now) = 0;  // lost its CPU, or the decision to run it, and is queued
  virtual void TaskYield(Task& task, Time now) { TaskPreempt(task, now); }
  // It is queued, and another of its domain, which spins, yielded in its favour.
  virtual void TaskFavoured(Task&, Time) {}
  // After TaskYield: `cpu`, which it had, went to the one in whose favour it yielded, which may
  // belong to another core. By now both may have another one.
  virtual void TaskReplaced(Task&, CpuId, Time) {}
  virtual void TaskLatchFailure(Task& task, Time now) { TaskPreempt(task, now); }
  // The class put it on task.cpu without being told, or it is there and nobody had noticed.
  virtual void TaskOnCpu(Task& task, Time now) = 0;
  virtual void TaskDeparted(Task& task, Time now) = 0;
  virtual void TaskDead(Task& task, Time now) { TaskDeparted(task, now); }
  virtual void TaskAffinityChanged(Task&, Time) {}
  // Weight, budget, period, cap, or what was granted. A change of domain comes as TaskDeparted and
  // TaskNew.
  virtual void TaskAttributesChanged(Task&, Time) {}
  virtual void CpuTimerExpired(CpuId, uint64_t /*cookie*/, Time) {}
  virtual void CpuTick(CpuId, Time) {}       // if the enclave delivers ticks
  virtual void CpuNotIdle(CpuId, Time) {}    // as asked for with the idle target
  virtual void CpuAvailable(CpuId, Time) {}  // if the enclave delivers availability
  virtual void CpuBusy(CpuId, Time) {}
};

// What any loop asks of the policy that it drives.
class LoopPolicy : public TaskEvents {
 public:
  // When Schedule has to be called even if nothing happens; Time::max() for never.
  virtual Time NextDeadline() const = 0;
  // Whether the policy holds `task` ready to run. For the runtime's self-check.
  virtual bool IsQueued(const Task& task) const = 0;
};

class CorePolicy : public LoopPolicy {
 public:
  // Proposes what the core shall run from now on; leaves `txn` as it is (all KEEP) if nothing
  // should change. Changes nothing else: whether the class agreed is told by Committed, or by
  // callbacks about the tasks that were the obstacle and another Schedule.
  virtual void Schedule(Time now, CoreTransaction& txn) = 0;
  // The class latched `txn`; its tasks are on CPU (task.state is kOnCpu).
  virtual void Committed(const CoreTransaction& txn, Time now) = 0;
  // Whether NextRebalance() of the PerCorePolicy came nearer, so that the lead has to wake up. Said
  // once.
  virtual bool CallsLead() { return false; }
};

// A centralized policy: one object decides for all CPUs of its enclave, called by one loop.
class CentralPolicy : public LoopPolicy {
 public:
  // Proposes what the enclave's CPUs shall run from now on; what it leaves as it is stays. A CPU
  // that is not usable is no place for a task now: others have it, or the agent itself. Changes
  // nothing else: what came of it is told as for a CorePolicy, by core. Task::runtime is as of the
  // task's last message.
  virtual void Schedule(Time now, EnclaveTransaction& txn) = 0;
  // The class latched what was proposed for the core, a position in the enclave's topology.
  virtual void Committed(int core, const CoreTransaction& txn, Time now) = 0;
};

// What is known of a task that is to be placed.
struct PlacementRequest {
  DomainId domain;
  uint32_t slot = 0;
  uint32_t vcpu = 0;
  Duration budget{0};  // asked for
  Duration period{0};
  Duration granted{0};          // promised already, on the core that it is on
  CpuSet cpus = CpuSet::All();  // that it may use: those of its affinity that are online
  int node = -1;                // the NUMA node that it is best on, of the topology; -1: none
};

// What the enclave can promise a task that asked for a budget.
struct CorePromise {
  int core = 0;         // where, as a position in the topology
  Duration granted{0};  // the budget, or nothing
  Duration free{0};     // if nothing: the most that there is, on `core`
};

// A task, and the core that is to have it from now on.
struct TaskMove {
  uint32_t slot = 0;
  int core = 0;
};

class PerCorePolicy {
 public:
  virtual ~PerCorePolicy() = default;

  // `core` is a position in the enclave's topology, from 0. Called once for each before anything
  // else.
  virtual std::unique_ptr<CorePolicy> MakeCore(int core) = 0;

  // Which core shall run the task: one that it may use, if there is one.
  virtual int PlaceTask(const PlacementRequest& task) = 0;
  // What can be promised to a task that is on `core`, asked for a budget and has no promise yet:
  // there, or on another core, to which it is then moved. It is asked again whenever others left,
  // or the CPUs that the task may use changed. Changes nothing.
  virtual CorePromise Judge(const PlacementRequest&, int core) { return {.core = core}; }
  // Moves of promised tasks after which Judge would promise the budget; none if there is no such
  // way. Changes nothing.
  virtual std::vector<TaskMove> MakeRoom(const PlacementRequest&) { return {}; }
  // Tasks without a promise that should live elsewhere, now that others came or went; asked again
  // until there are none. `open` says whether tasks may be moved to a core now. Changes nothing.
  using Open = absl::FunctionRef<bool(int core)>;
  virtual std::vector<TaskMove> Spread(Open) { return {}; }
  // Likewise, because of what tasks had lately. Asked at NextRebalance(), which that changes.
  virtual std::vector<TaskMove> Rebalance(Time, Open) { return {}; }
  virtual Time NextRebalance() const { return Time::max(); }
  // The task is on `core` now, or is about to go there, with a promise if it was given one. Each is
  // taken back by one TaskUnplaced of the same. It may be a core that the task may not use: then it
  // waits there for a better time.
  virtual void TaskPlaced(const PlacementRequest& task, int core) = 0;
  virtual void TaskUnplaced(const PlacementRequest& task, int core) = 0;
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_POLICY_H_
