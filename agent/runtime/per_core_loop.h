// SPDX-License-Identifier: Apache-2.0
// The agent of one physical core: messages in, policy, one transaction for the whole core out, then
// sleep.
//
// Step() is the whole loop body and returns when it wants to be called again, so a thread drives it
// in production (Run) and a test by hand. Nothing in Step() allocates, locks or makes a system call
// but commit, association and waking another loop; TaskNew in a policy may allocate. Source:
// SOSP'21 section 3.1 and figure 3 (per-CPU agents), extended to the siblings of a core.
//
// How no task gets lost: (1) a message for a task of another loop is passed on as "look at this
// slot"; (2) an adopted task is associated first and its status word read afterwards; (3) an
// overflow, a rescue by the class and a refused commit make the loop read status words; (4) once a
// second it compares its records with the status words, and counts what it has to repair.
//
// Thread rules: one thread calls Enter, Step, Run and Leave. Errors: Step never fails; status()
// tells why Run ended.
#ifndef CORRAL_AGENT_RUNTIME_PER_CORE_LOOP_H_
#define CORRAL_AGENT_RUNTIME_PER_CORE_LOOP_H_

#include <atomic>
#include <memory>

#include "absl/status/status.h"
#include "agent/runtime/counters.h"
#include "agent/runtime/enclave_state.h"
#include "agent/runtime/lead.h"
#include "agent/runtime/occupants.h"
#include "agent/runtime/policy.h"
#include "agent/runtime/task_tracker.h"
#include "agent/runtime/transaction.h"

namespace corral {

class PerCoreLoop {
 public:
  // `core` is a position in the enclave's topology; `lead` is given to the lead's loop only. All
  // must outlive the loop.
  PerCoreLoop(EnclaveState& state, int core, CorePolicy& policy, Lead* lead);

  // The calling thread becomes the agent of the core. Fails while another one is.
  absl::Status Enter();
  absl::Status Leave();

  // One turn at time `now`. Returns when the next is due if no message comes before.
  Time Step(Time now);

  // Steps and sleeps until `stop` is set (then wake the queue) or the core is lost. Enter first.
  absl::Status Run(const std::atomic<bool>& stop);

  // Why the loop can do nothing more: the class went away or the core was taken. OK as long as it
  // can.
  const absl::Status& status() const { return status_; }
  const LoopCounters& counters() const { return counters_; }
  int core() const { return core_; }

 private:
  enum class Reaction { kDone, kRetry, kBackOff };

  // per_core_loop.cc: the turn, and what comes in
  void Receive(Time now);
  void OnCpuMessage(const ghost_msg& message, Time now);
  void OnMessage(const ghost_msg& message, Time now);
  void OnTaskMessage(Task& task, const ghost_msg& message, Time now);
  void OnDirectedYield(Task& task, const ghost_msg& message, Time now);
  void Favour(Gtid gtid, Time now);
  void PassOn(const ghost_msg& message, uint32_t slot, int owner);
  void LookAt(uint32_t slot, Time now);
  void Decide(Time now);
  void Housekeeping(Time now);
  Time Deadline(Time now) const;

  // task_custody.cc: which tasks are ours
  void Adopt(uint32_t slot, Time now);
  void AdoptAgain(Time now);
  absl::Status AssociateToUs(const ghost_status_word& word);
  // False: the task is not ours any more, and its record may be another loop's by now.
  bool Reconcile(Task& task, Time now);
  void TellLead(Task& task);
  void TellOffer(Task& task);
  void NoteOnCpu(Task& task);
  void Vacate(Task& task);
  void Release(uint32_t slot);
  void Give(Task& task, int core, Time now);
  int WantedElsewhere(const Task& task) const;
  void GiveIfWanted(Task& task, Time now);
  void Rescan(Time now);
  void Settle(Time now);
  void SelfCheck(Time now);
  void NoteRefusal(Task& task, Obstacle obstacle, Time now);
  void Park(Task& task, Obstacle obstacle, int tries, Time now);
  void Unpark(Time now);
  bool TryWhereItIs(Task& task, Time now);
  int NextCoreFor(const Task& task) const;
  void LookAtCpus(Time now);
  bool Barred(const Task& task) const;
  void Bar(Task& task, Time now);

  // commit_results.cc: what became of a transaction
  Reaction CommitOnce(Time now);
  Reaction OnCallFailure(const absl::Status& status, Time now);
  Reaction OnSiblingFailure(int sibling, Time now);
  Reaction OnCoreFailure(uint32_t txn_state, Time now);
  Reaction Reenter();
  bool Refused(Task& task, Time now);

  EnclaveState& state_;
  AgentKernel& kernel_;
  const int core_;
  const Core& place_;
  CorePolicy& policy_;
  Lead* const lead_;
  LoopCounters counters_;
  TaskTracker tracker_;
  absl::Status status_;

  List<Task, &Task::owned> owned_;
  List<Task, &Task::parked> parked_;
  Occupants occupants_;
  CoreTransaction txn_;
  CommitBatch batch_;

  bool started_ = false;
  bool rescan_ = false;
  uint64_t seen_overflows_ = 0;
  Time settle_at_ = Time::max();
  Time adopt_again_at_ = Time::max();  // some slot of ours could not be associated
  Time self_check_at_{};
  Time retry_at_ = Time::max();  // a commit could not be made
  Duration backoff_;
  uint32_t online_;  // a bit per sibling, as of the last look
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_PER_CORE_LOOP_H_
