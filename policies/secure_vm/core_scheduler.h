// SPDX-License-Identifier: Apache-2.0
// What one core runs: the domain with the earliest deadline among those that were promised time
// and have not had it; then the domain that has had least of the rest, by weight.
//
// A domain keeps the core for at least the minimum tenure, for at most the tenure while others
// wait for the same kind of time, and alone as long as it likes; one that goes idle gives it up at
// once. A domain that had less than its share for a while, because it slept, goes before those that
// had theirs. All siblings change hands together. Within a domain, a vCPU that is owed promised
// time has its home sibling; the rest of the siblings go by weight, and one that wakes up and had
// less than one that runs replaces it at once, because that costs no hand-over. Where affinities
// let a vCPU use some siblings only, it is proposed for no others, and who has a choice makes way
// for it.
//
// One that spins may yield to another of its domain, which then goes before the rest of the domain,
// if it had no more than a turn more than they. If the class had it take the place of the one that
// spins, it has the rest of that turn; a guest from another core has it at this domain's expense.
//
// With co-running, a domain that lives on several cores has its turns on them at the same time, so
// that who holds a lock runs while others want it: turns end at the same moments everywhere, and
// whose turn it is follows from the time, as long as nobody gets ahead by more than a turn. No core
// asks another.
//
// A vCPU whose time nobody has to watch is offered to cores that have nothing to do, this one
// first: what it had elsewhere counts as had, and until it is back it is not here.
//
// What a domain's weight counts on this core, the lead says (rebalancing.h): all of it, unless the
// domain lives on others as well.
//
// The files: core_scheduler.cc has what happens (events), core_choice.cc which domain and which
// vCPUs are next, core_accounts.cc who had what, core_news.cc what the lead hears of it,
// core_waits.cc why the others wait. Source: SOSP'21 section 4.5; for the shares, Jones and others'
// start-time fair queueing (Goyal 1996).
//
// Units: ns of CPU time that was really had. Thread rules: as agent/runtime/policy.h says; TaskNew,
// TaskAffinityChanged and TaskAttributesChanged allocate.
#ifndef CORRAL_POLICIES_SECURE_VM_CORE_SCHEDULER_H_
#define CORRAL_POLICIES_SECURE_VM_CORE_SCHEDULER_H_

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "agent/runtime/list.h"
#include "agent/runtime/policy.h"
#include "agent/runtime/topology.h"
#include "policies/secure_vm/domain_cores.h"
#include "policies/secure_vm/ledger.h"
#include "policies/secure_vm/pen.h"
#include "policies/secure_vm/seating.h"

namespace corral::secure_vm {

struct Tenures {
  Duration shortest = std::chrono::milliseconds(2);
  Duration longest = std::chrono::milliseconds(10);
  Duration hand_over = std::chrono::microseconds(20);  // what servers are charged for one
  int reserve_percent = 5;                             // of the core, that is not promised
};

class CoreScheduler final : public CorePolicy {
 public:
  // `index` is the core's in the topology and the ledger, which must outlive it; `calls_lead`:
  // whether the lead is to look at that when domains wait here. `co_running`: the counts of all
  // cores that turns are to be in step with; nullptr: with none.
  CoreScheduler(const Topology& topology, int index, const Tenures& tenures, Offer sharing,
                DomainCores* co_running, Ledger& ledger, bool calls_lead, PerTask<Vcpu>& vcpus)
      : topology_(topology),
        core_(topology.core(index)),
        index_(index),
        tenures_(tenures),
        sharing_(sharing),
        co_running_(co_running),
        ledger_(ledger),
        may_call_lead_(calls_lead),
        vcpus_(vcpus) {}

  void TaskNew(Task& task, Time now) override;
  void TaskWakeup(Task& task, Time now) override;
  void TaskBlocked(Task& task, Time now) override;
  void TaskPreempt(Task& task, Time now) override;
  void TaskYield(Task& task, Time now) override;
  void TaskFavoured(Task& task, Time now) override;
  void TaskReplaced(Task& task, CpuId cpu, Time now) override;
  void TaskLatchFailure(Task& task, Time now) override;
  void TaskOnCpu(Task& task, Time now) override;
  void TaskDeparted(Task& task, Time now) override;
  void TaskAffinityChanged(Task& task, Time now) override;
  void TaskAttributesChanged(Task& task, Time now) override;

  void Schedule(Time now, CoreTransaction& txn) override;
  void Committed(const CoreTransaction& txn, Time now) override;
  Time NextDeadline() const override;
  bool IsQueued(const Task& task) const override;
  bool CallsLead() override { return std::exchange(calls_lead_, false); }

 private:
  // core_scheduler.cc
  Pen& PenOf(DomainId domain);
  bool Promised(const Vcpu& vcpu) const;
  Offer OfferOf(const Vcpu& vcpu) const;
  void JoinServer(Vcpu& vcpu, Time now);
  void LeaveServer(Vcpu& vcpu, Time now);
  void WakeServer(const Vcpu& vcpu, Time now);
  void Enqueue(Vcpu& vcpu, bool front, Time now);
  void Requeue(Vcpu& vcpu, bool front, Time now);
  void Dequeue(Vcpu& vcpu);
  void ChargeHandOver(const CoreTransaction& txn);
  void NoteServed(int sibling, GangServer& server);
  void LeaveSibling(Vcpu& vcpu, Time now);
  void TakeSibling(Vcpu& vcpu, int sibling, Time now);
  void SetHolder(Pen* pen, Time now);

  // core_accounts.cc
  void Charge(Vcpu& vcpu, Time now);
  Duration ChargePromise(Vcpu& vcpu, Duration had, Time now);
  void ChargeCap(Vcpu& vcpu, Duration had, Time now);
  void Settle(Time now);
  void SettleTime(Time now);
  void NoteOwing();
  Duration LostOf(Duration served) const;
  void RenewCap(Vcpu& vcpu, Time now);
  void Unthrottle(Time now);
  void MeasureShare(Pen& pen) const;
  static int64_t Virtual(Duration time, double share);
  int64_t Turn(double share) const;
  int64_t Slack(double share) const;
  void SettleAwake();
  void SettleAwakeIn(Pen& pen);

  // core_choice.cc
  void Decide(Time now, CoreTransaction& txn);
  Pen* Choose(Time now);
  Pen* ChooseByDeadline() const;
  Pen* ChooseByShare() const;
  Pen* NextTurn(Pen* holder, Pen& fair, Time now) const;
  bool MayInterrupt(const Pen& pen, const Pen& holder) const;
  Pen* NextInStep(Pen* holder, Time now) const;
  Time TurnEnd() const;
  GangServer* NextServed(const Pen& pen) const;
  bool HasWork(const Pen& pen) const;
  void Propose(Pen& pen, Time now, CoreTransaction& txn);
  void PlanOwed(const Pen& pen, const CoreTransaction& txn, Plan& plan) const;
  void PlanFree(const Pen& pen, const CoreTransaction& txn, Siblings owed, Plan& plan) const;
  void PlanAwakened(const Pen& pen, const CoreTransaction& txn, Plan& plan) const;
  void PlanFavoured(const Pen& pen, const CoreTransaction& txn, Plan& plan) const;
  void PlanTurns(const Pen& pen, const CoreTransaction& txn, Time now, Plan& plan) const;
  int WithMost(const CoreTransaction& txn, const Plan& plan, const Vcpu& instead) const;
  bool GoesFirst(const Vcpu& vcpu) const;
  enum class Favours { kCount, kDoNotCount };
  Vcpu* NextWaiting(const Pen& pen, const Plan& plan, Siblings siblings, Favours favours) const;
  int HomeOf(const Vcpu& vcpu) const;

  // core_news.cc
  void SetAwake(Vcpu& vcpu, bool awake, Time now);
  bool JoinsItsDomain(const Task& task) const;
  void TellOf(Pen& pen, const Vcpu& member);
  void TellNews(Time now);
  void TellHolder(Time now);

  // core_waits.cc
  void SayWhy(Time now) const;
  Siblings IdleSiblings() const;

  const Topology& topology_;
  const Core& core_;
  const int index_;
  const Tenures tenures_;
  const Offer sharing_;
  DomainCores* const co_running_;
  Ledger& ledger_;
  const bool may_call_lead_;
  PerTask<Vcpu>& vcpus_;
  std::vector<std::unique_ptr<Pen>> pens_;
  List<Pen, &Pen::ring> ring_;  // with waiting vCPUs, but without the core
  Pen* holder_ = nullptr;
  Pen* former_ = nullptr;  // the one before, or the last one
  Time held_since_{};
  Time turn_since_{};              // when the holder's present turn among shares began
  GangServer* serving_ = nullptr;  // the holder has the core because of it
  Time room_from_{};               // all of what was promised to those that left is free then
  std::array<Vcpu*, GHOST_MAX_SIBLINGS> running_{};
  // By sibling: whose promise the holder last had it for, and the deadline for which it got it.
  struct Served {
    GangServer* server = nullptr;
    Time deadline{};
  };
  std::array<Served, GHOST_MAX_SIBLINGS> last_{};

  // Since the last Settle, by sibling: time had, and time had of what serving_ promised.
  std::array<Duration, GHOST_MAX_SIBLINGS> had_{};
  std::array<Duration, GHOST_MAX_SIBLINGS> served_{};
  Siblings owing_ = 0;     // that have served all the time a vCPU whom serving_ owed something
  Siblings usable_ = 0;    // as of the last decision
  Siblings lent_ = 0;      // the holder's, to its vCPUs of other cores
  Siblings was_lent_ = 0;  // now, or at any time since the last Settle
  Time settled_at_{};
  Time charged_at_{};        // of the last SettleTime
  int64_t least_vtime_ = 0;  // of runnable pens; only rises
  int nr_throttled_ = 0;
  Time contended_since_{};
  bool calls_lead_ = false;
};

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_CORE_SCHEDULER_H_
