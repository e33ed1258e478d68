// SPDX-License-Identifier: Apache-2.0
// Keeps the records of an agent's tasks true: from messages, and from status words where messages
// are missing or in doubt.
//
// Used by every kind of loop. A message is applied if its barrier is newer than the record's. A
// status word is read at adoption, after an overflow, when the class refuses a commit, and when
// another loop forwards a message; it is at least as new as every message that was seen before.
// Events are told to the policy once, whichever way they came. No allocation. One thread.
#ifndef CORRAL_AGENT_RUNTIME_TASK_TRACKER_H_
#define CORRAL_AGENT_RUNTIME_TASK_TRACKER_H_

#include "agent/runtime/counters.h"
#include "agent/runtime/policy.h"
#include "agent/runtime/task.h"
#include "kernel/ghost_kernel.h"

namespace corral {

class TaskTracker {
 public:
  enum class Outcome {
    kOk,
    kGone,          // died or departed; the policy was told, the record is to be released
    kLatchFailure,  // kOk, and a CPU could not take the task
    kTaken,         // kOk, and the class put it on task.cpu, because it was offered
    kLook,          // the message alone does not tell: call Reconcile
  };

  // `kernel`, `events` and `counters` must outlive the tracker.
  TaskTracker(AgentKernel& kernel, TaskEvents& events, LoopCounters& counters)
      : kernel_(kernel), events_(events), counters_(counters) {}

  // The status word of the slot, whoever has it now.
  ghost_status_word Read(uint32_t slot) const;
  // Whether `word` is a task of this agent's enclave.
  bool IsOurs(const ghost_status_word& word) const;

  // Fills an empty record and tells the policy TaskNew. `word` must be ours.
  void Adopt(Task& task, const ghost_status_word& word, Time now);
  // The CPUs that it may use refuse the task. One that was preempted where migration is disabled
  // can go on nowhere but on the CPU that it is on, so that one counts as allowed until it has run
  // there, or was refused there too.
  void Tie(Task& task, CpuId cpu, Time now);
  void Untie(Task& task, Time now);
  // An adopted task's message. Stale ones are counted and dropped.
  Outcome Apply(Task& task, const ghost_msg& message, Time now);
  // Brings an adopted task up to date with its status word. kOk or kGone.
  Outcome Reconcile(Task& task, Time now);
  // Brings task.runtime up to `now`, the present stint included.
  void UpdateRuntime(Task& task, Time now) const;
  // Brings task.waits up to task.state, which became what it is at `at`. For whoever changes the
  // state by other means than the above.
  void Account(Task& task, Time at, Time now) const;
  // What the task waited for up to now is published, so that displays can tell.
  void Publish(Task& task, Time now);
  // True if record and status word contradict each other now and did so, unchanged, at the last
  // check.
  bool ContradictsTwice(Task& task);
  // Makes the record what the status word says, whatever the record thought. After
  // ContradictsTwice.
  void Repair(Task& task, Time now);

 private:
  CpuClocks ClocksOf(const Task& task, Time now) const;
  TaskState StateIn(const ghost_status_word& word) const;
  bool ReadAttributes(Task& task, const ghost_status_word& word);
  bool TakeUpAffinity(Task& task);
  void Accepted(Task& task, Time now);
  void TakeUpChanges(Task& task, const ghost_status_word& word, Time now);
  void MoveTo(Task& task, TaskState state, const ghost_status_word& word, Time now);
  Outcome Taken(Task& task, const ghost_msg& message, Time now);
  bool IsToLeave(CpuId cpu) const;
  Outcome Lost(Task& task, const ghost_msg& message, bool echo, Time now);

  AgentKernel& kernel_;
  TaskEvents& events_;
  LoopCounters& counters_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_TASK_TRACKER_H_
