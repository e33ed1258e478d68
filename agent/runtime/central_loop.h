// SPDX-License-Identifier: Apache-2.0
// The agent of a whole enclave: one thread that spins, drains the queues of all cores, asks a
// CentralPolicy, and commits for all CPUs in one call per turn.
//
// What it shares with other loops is AgentLoop's, and so is how no task gets lost. All tasks are
// associated with one queue, so the policy hears of them in the order in which things happened.
//
// The class knows one agent thread per core, and waits for decisions only where it has one. So each
// core has a thread of the process that has entered it and sleeps; the one of the lead core is the
// one that spins, and its commits name any core. Which CPU it spins on is SpinPlace's matter:
// threads of other classes see an agent only as somebody who never ends, so it goes away when they
// come. That CPU is not given to tasks. While there are no tasks, or no other CPU for them, it
// sleeps on its queue instead, as a per-core agent does.
//
// Source: SOSP'21 section 3.1 (centralized agents, hot hand-over of the global agent). Thread
// rules: one thread calls Step; Enter and Leave by the thread of the core; the rest by any.
#ifndef CORRAL_AGENT_RUNTIME_CENTRAL_LOOP_H_
#define CORRAL_AGENT_RUNTIME_CENTRAL_LOOP_H_

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "agent/runtime/agent_loop.h"
#include "agent/runtime/enclave_transaction.h"
#include "agent/runtime/loop_timing.h"
#include "agent/runtime/policy.h"
#include "agent/runtime/spin_place.h"

namespace corral {

class CentralLoop final : public AgentLoop {
 public:
  struct Options {
    CpuSet housekeeping;  // where to spin; empty: on the enclave's own CPUs
    Duration longest_stay = loop_timing::kLongestStay;
    // The core's thread shall call Enter again: the class took the core from it.
    std::function<void(int core)> enter_again;
  };
  // Both must outlive the loop.
  CentralLoop(EnclaveState& state, CentralPolicy& policy, Options options);

  // The calling thread becomes the agent of the core. Fails while another one is. Until then the
  // core is the class's, or the former agent's.
  absl::Status Enter(int core);
  absl::Status Leave(int core);

  // After each Step: which CPU the thread shall be bound to, and whether it shall go on at once or
  // sleep until the deadline or a message in its queue.
  CpuId place() const { return place_.cpu(); }
  bool spins() const { return spins_; }
  // It could not be bound.
  void CannotBind(Time now) { place_.Refused(now); }
  uint64_t moves() const { return place_.moves(); }

 private:
  void Discover() override;
  void LookAtCpus(Time now) override;
  void Decide(Time now) override;
  void OnStranger(const ghost_msg& message, uint32_t slot, int owner, Time now) override;
  void Consider(uint32_t slot) override { Take(slot, Gtid(0)); }
  bool GoesWithCpu(Task&, CpuId, bool, Time) override { return false; }
  bool Barred(const Task& task) const override { return !task.affinity.Intersects(online_); }
  Reaction Reenter(int core) override;
  int Refusals() const override { return loop_timing::kRefusals; }
  bool TryWhereItIs(Task& task, Time now) override;
  void CheckStrangers() override;
  void Updated(Task& task) override;
  void HouseKeep(Time now) override;
  Time OwnDeadline(Time now) const override;

  // central_loop.cc: tasks and decisions
  bool IsStranger(uint32_t slot, const ghost_status_word& word, Gtid announced) const;
  void Take(uint32_t slot, Gtid announced);
  void ClearPlace(Time now);
  void Propose(Time now);
  Reaction Commit(Time now);
  Reaction CommitSome(size_t first, size_t nr, Time now);

  // central_place.cc: CPUs, and which one is the agent's
  bool LookAtCore(int core);
  static void Set(CpuSet& set, CpuId cpu, bool member);
  void LookAround(Time now);
  void ChoosePlace(Time now);
  SpinPlace::Use UseOf(CpuId cpu) const;
  bool IsNeeded(CpuId cpu) const;
  bool HoldsSomething(CpuId cpu) const;

  CentralPolicy& central_policy_;
  const Options options_;
  EnclaveTransaction txn_;
  std::vector<std::atomic<bool>> entered_;  // by core, set by its thread
  std::vector<char> seen_entered_;          // as of the last look
  std::vector<uint64_t> strangers_;         // by slot: the task that was nobody's at the last check
  CpuSet online_;                           // of the enclave's CPUs
  CpuSet elsewhere_;  // of these, those where neither we are nor another scheduling class

  SpinPlace place_;
  bool spins_ = false;
  bool crowded_ = false;  // a task may wait that can run only where we spin
  Time committed_at_{};
  Time look_around_at_{};
  Time clear_place_at_{};
  Time decide_at_{};
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_CENTRAL_LOOP_H_
