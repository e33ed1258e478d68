// SPDX-License-Identifier: Apache-2.0
// What every agent loop does: messages in, records kept true, one decision out, and no task lost.
// The kinds of loops differ in which tasks are theirs and in what they decide about.
//
// Step() is a whole turn and returns when it wants to be called again, so a thread drives it in
// production and a test by hand. Nothing in Step() allocates, locks or makes a system call but
// commit, association and waking another loop; TaskNew in a policy may allocate.
//
// How no task gets lost: (1) a message for a task of another loop is passed on as "look at this
// slot"; (2) an adopted task is associated first and its status word read afterwards; (3) an
// overflow, a rescue by the class and a refused commit make the loop read status words; (4) once a
// second it compares its records with the status words, and counts what it has to repair.
//
// agent_loop.cc has the turn and what comes in, task_custody.cc which tasks are ours,
// commit_results.cc what became of transactions. Thread rules: one thread calls Step. Errors: Step
// never fails; status() tells why a loop can do nothing more.
#ifndef CORRAL_AGENT_RUNTIME_AGENT_LOOP_H_
#define CORRAL_AGENT_RUNTIME_AGENT_LOOP_H_

#include <atomic>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "agent/runtime/counters.h"
#include "agent/runtime/enclave_state.h"
#include "agent/runtime/occupants.h"
#include "agent/runtime/policy.h"
#include "agent/runtime/task_tracker.h"
#include "agent/runtime/transaction.h"

namespace corral {

class AgentLoop {
 public:
  virtual ~AgentLoop() = default;
  AgentLoop(const AgentLoop&) = delete;

  // One turn at time `now`. Returns when the next is due if no message comes before.
  Time Step(Time now);
  // The first Step is done. Any thread.
  bool has_begun() const { return has_begun_.load(std::memory_order_acquire); }

  // Why the loop can do nothing more: the class went away or a core was taken. OK as long as it
  // can.
  const absl::Status& status() const { return status_; }
  // Publishes what tasks waited for, up to now; the self-check does so once a second.
  void TellWaits(Time now);
  const LoopCounters& counters() const { return counters_; }

 protected:
  // From the best to the worst.
  enum class Reaction { kDone, kRetry, kBackOff };

  // The loop's tasks are associated with the queue of core `self`; it decides about `cores`, and
  // reads all their queues. `state` and `policy` must outlive it.
  AgentLoop(EnclaveState& state, int self, std::vector<int> cores, LoopPolicy& policy);

  // ---- what a kind of loop has to say ----

  // Takes in what is there: at the start, which is no different from a takeover, and when messages
  // were lost.
  virtual void Discover() = 0;
  // Takes up which CPUs are there.
  virtual void LookAtCpus(Time now) = 0;
  // Proposes, commits, and sees what became of it.
  virtual void Decide(Time now) = 0;
  // A message about a task that our records do not have.
  virtual void OnStranger(const ghost_msg& message, uint32_t slot, int owner, Time now) = 0;
  // Somebody asked to look at the slot, which may be nobody's.
  virtual void Consider(uint32_t slot) = 0;
  // A task of ours was found on `cpu`, as a visitor perhaps. True if that made it another loop's.
  virtual bool GoesWithCpu(Task& task, CpuId cpu, bool visits, Time now) = 0;
  // None of our CPUs that are online is one that it may use.
  virtual bool Barred(const Task& task) const = 0;
  // The loop is to be the agent of the core again.
  virtual Reaction Reenter(int core) = 0;
  // How many refusals in a row are enough.
  virtual int Refusals() const = 0;
  // A parked task that CPUs refuse is to be tried on the CPU that it is on, then anywhere else.
  // True if that made it another loop's.
  virtual bool TryWhereItIs(Task& task, Time now) = 0;
  virtual bool TryElsewhere(Task&, Time) { return false; }
  // Part of the self-check: takes in tasks that are nobody's.
  virtual void CheckStrangers() = 0;
  virtual void Adopted(Task&, Time) {}
  virtual void Updated(Task&) {}
  // Gives the task to whoever is to have it; true if that is another loop.
  virtual bool GiveIfWanted(Task&, Time) { return false; }
  virtual void HouseKeep(Time) {}
  // When a kind's own business is due.
  virtual Time OwnDeadline(Time) const { return Time::max(); }

  // ---- for them ----

  void Receive(Time now);
  // Something happened that a decision may depend on; whether it did since the last call.
  void Stir() { stirred_ = true; }
  bool TakeStir() { return std::exchange(stirred_, false); }
  // The status words of all our tasks are to be read again.
  void AskForRescan() { rescan_ = true; }
  // A decision could not be made; waits longer each time, until one is.
  void BackOff(Time now);
  // False: the task is not ours any more, and its record may be another loop's by now.
  bool Reconcile(Task& task, Time now);
  void Vacate(Task& task);
  void Bar(Task& task, Time now);
  // Of a call that was not made.
  Reaction OnCallFailure(const absl::Status& status);
  // Of a transaction that the class has answered, about `core`.
  Reaction OnResult(const CoreTransaction& txn, int core, Time now);

  EnclaveState& state_;
  AgentKernel& kernel_;
  const int self_;
  const std::vector<int> cores_;
  LoopPolicy& policy_;
  LoopCounters counters_;
  TaskTracker tracker_;
  absl::Status status_;

  List<Task, &Task::owned> owned_;
  Occupants occupants_;  // of the CPUs of cores_
  CommitBatch batch_;
  Time retry_at_ = Time::max();  // a commit could not be made

 private:
  // agent_loop.cc
  void OnMessage(const ghost_msg& message, Time now);
  void OnCpuMessage(const ghost_msg& message, Time now);
  void OnTaskMessage(Task& task, const ghost_msg& message, Time now);
  void OnDirectedYield(Task& task, const ghost_msg& message, Time now);
  void Favour(Gtid gtid, Time now);
  void LookAt(uint32_t slot, Time now);
  void CheckInTime(Time now);
  Time Deadline(Time now) const;

  // task_custody.cc
  void Adopt(uint32_t slot, Time now);
  void AdoptAgain(Time now);
  absl::Status AssociateToUs(const ghost_status_word& word);
  void TellOffer(Task& task);
  void NoteOnCpu(Task& task);
  void Release(uint32_t slot);
  void Rescan(Time now);
  void Settle(Time now);
  void SelfCheck(Time now);
  void NoteRefusal(Task& task, Obstacle obstacle, Time now);
  void Park(Task& task, Obstacle obstacle, int tries, Time now);
  void Unpark(Time now);

  // commit_results.cc
  Reaction OnSiblingFailure(const CoreTransaction::Sibling& sibling, int core, Time now);
  Reaction OnCoreFailure(uint32_t txn_state, int core);
  bool Refused(Task& task, Time now);

  List<Task, &Task::parked> parked_;
  bool started_ = false;
  std::atomic<bool> has_begun_ = false;
  bool rescan_ = false;
  bool stirred_ = true;
  std::vector<uint64_t> seen_overflows_;  // of the queue of each of cores_
  Time settle_at_ = Time::max();
  Time adopt_again_at_ = Time::max();  // some slot of ours could not be associated
  Time self_check_at_{};
  Duration backoff_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_AGENT_LOOP_H_
