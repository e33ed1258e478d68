// SPDX-License-Identifier: Apache-2.0
// The lead: the loop of the enclave's first core, which takes in tasks that nobody owns, has the
// policy place them, and publishes what they are promised.
//
// Everything goes by slot and status word: a TASK_NEW message, the scan at a takeover, the end of a
// task, another budget or affinity, and a task that changed hands all lead to Consider(). Only the
// lead takes a slot out of nobody's hands, so owners never race. Called from the lead's loop.
//
// lead.cc has the account of who is where, lead_moves.cc what is promised and who moves.
#ifndef CORRAL_AGENT_RUNTIME_LEAD_H_
#define CORRAL_AGENT_RUNTIME_LEAD_H_

#include <algorithm>
#include <vector>

#include "agent/runtime/counters.h"
#include "agent/runtime/enclave_state.h"
#include "agent/runtime/policy.h"

namespace corral {

class Lead {
 public:
  // `state` and `policy` must outlive the lead.
  Lead(EnclaveState& state, PerCorePolicy& policy)
      : state_(state),
        policy_(policy),
        places_(state.tasks().size()),
        online_(state.topology().cpus()),
        shunned_until_(state.topology().nr_cores()) {}

  // Looks at the slot and does what is due: hands an announced task of ours that nobody owns to the
  // core that the policy chooses, or corrects the policy's account. `announced` is the gtid of a
  // TASK_NEW message, or 0. CPUs that went or came since the last look are taken up as well.
  void Consider(uint32_t slot, Gtid announced = Gtid(0));
  // Considers every slot, with the CPUs that are online now: at the start, and when messages were
  // lost.
  void Discover();
  // Gives those that were promised nothing another chance, if there may be more room since.
  void JudgeAgain();
  // Moves tasks to where the policy would have them now, some at a time, a while after any came or
  // went.
  void Spread(Time now);
  // When Spread() has something to do; Time::max() for never.
  Time next_spread() const { return std::min(spread_at_, policy_.NextRebalance()); }
  // Part of the self-check: takes in tasks that were nobody's at two checks in a row, and counts
  // them as repairs. Also looks whether CPUs went or came where no task is that would notice.
  void SelfCheck(LoopCounters& counters);

 private:
  struct Place {
    int core = -1;
    Gtid gtid{0};
    PlacementRequest request;
    bool judge = false;  // its CPUs went or came, and what is promised was not looked at since
    Gtid announced{0};   // a TASK_NEW that came while the slot still had its former owner
    uint64_t orphan = 0;
  };

  // lead.cc
  bool IsOrphan(uint32_t slot, const ghost_status_word& word) const;
  PlacementRequest RequestOf(uint32_t slot, const ghost_status_word& word, int core) const;
  int Choose(uint32_t slot, const ghost_status_word& word);
  void Update(uint32_t slot, Gtid announced);
  void Account(uint32_t slot, int core, const ghost_status_word& word);
  CpuSet OnlineNow() const;
  CpuSet CpusOf(uint32_t slot) const;
  void TakeUpCpus();

  // lead_moves.cc
  void Settle(uint32_t slot);
  void Promise(uint32_t slot);
  bool Grant(uint32_t slot, const CorePromise& promise);
  bool Stands(Gtid task, const Verdict& verdict) const;
  void Rehouse(uint32_t slot);
  void Shun(int core);
  bool MayUse(const PlacementRequest& request, int core) const;
  void Want(uint32_t slot, int core);
  void TellOwner(uint32_t slot);
  void MakeRoom(const PlacementRequest& request);
  void Move(const std::vector<TaskMove>& moves);

  EnclaveState& state_;
  PerCorePolicy& policy_;
  std::vector<Place> places_;
  CpuSet online_;                    // of the enclave's CPUs, as of the last look
  std::vector<Time> shunned_until_;  // by core
  bool judge_again_ = false;         // somebody with a promise left
  bool changed_ = false;             // somebody came or left
  Time spread_at_ = Time::max();
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_LEAD_H_
