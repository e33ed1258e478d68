// SPDX-License-Identifier: Apache-2.0
// What a domain was promised on one core, for one period: the time of the whole core that keeps
// the promises made to its vCPUs there.
//
// Siblings run in parallel, so the vCPUs are dealt out to those that they may use, longest budget
// first, and the gang needs as much core time as the sibling with most. In each period (they follow
// each other from time 0 on) a core gives the gang that much by earliest deadline, and while it
// does, each sibling prefers its own members. So whoever is runnable for a whole period gets its
// budget of it: as long as it has not, its sibling serves it or another member of that sibling, and
// their budgets together fit into the gang's.
//
// A sibling may lose some of that time while the others go on: the agent runs there, or an
// interrupt handler. If its member is owed something still, all lost it, as if the core had not
// been there: the gang is not charged for that, up to its part of the reserve that admission keeps
// for what is not Corral's. All gangs with their parts fit into the core, so whoever's siblings
// lose more than was reserved does not take it from other gangs: it goes on behind all that have
// time left.
//
// On top of it comes a hand-over to the gang, one from it, and one for each member that finds the
// siblings taken: what a gang that computes makes necessary in a period. Members that sleep and
// wake make more of them, and those are taken out of the gang's time, so others do not pay.
//
// A gang that wakes within a period may have what is left of it in proportion, and no more: what it
// asks for between any two moments then stays within its share, which is all that EDF needs. What
// is left is counted from when the core can be taken from whoever has it, because admission knows
// of that wait once in a whole period only.
//
// A member that leaves early in its period may have had all that it was promised for it. The room
// is free once that is no more than its share of the time that has passed; promises that take it
// begin then. Source: Liu and Layland 1973; Abeni and Buttazzo 1998 for the wake-up rule; Stoica
// and others 1996 for leaving.
//
// One thread. Units: ns.
#ifndef CORRAL_POLICIES_SECURE_VM_GANG_SERVER_H_
#define CORRAL_POLICIES_SECURE_VM_GANG_SERVER_H_

#include <algorithm>
#include <vector>

#include "absl/types/span.h"
#include "policies/secure_vm/siblings.h"
#include "policies/secure_vm/vcpu.h"

namespace corral::secure_vm {

// What gangs of a core have in common.
struct GangTerms {
  int nr_siblings = 1;
  Duration hand_over{0};    // what one is charged for
  int reserve_percent = 0;  // of the core, that is not promised; less than 100
};

// What one vCPU of a gang was promised.
struct Promised {
  Duration budget{0};
  Siblings siblings = kAnySibling;  // that it may use, at least one of them
};

// Deals the vCPUs out to siblings, first those with the least choice, longest first; returns the
// most that one sibling has to do. `home`, if given, gets the sibling of each, in the order of
// `vcpus`. The order of `vcpus` makes no difference to the time.
Duration GangTime(absl::Span<const Promised> vcpus, int nr_siblings, std::vector<int>* home);
// For as many hand-overs as a period of vCPUs that compute has.
Duration HandOverTime(absl::Span<const Promised> vcpus, int nr_siblings, Duration hand_over);

class GangServer {
 public:
  explicit GangServer(const GangTerms& terms) : terms_(terms) {}

  Duration period() const { return period_; }
  Duration left() const { return left_; }
  Time period_end() const { return deadline_; }  // of the present one
  // The same, while the gang has time left. A sibling may have lost more of it than was reserved;
  // who is still owed something then comes after all whose gangs have time left, and before those
  // that were promised nothing.
  Time deadline() const { return left_ > Duration(0) ? deadline_ : kOvertime; }
  bool empty() const { return members_.empty(); }
  // A member wants what it was promised, and has not had it.
  bool active() const;
  // A member is runnable, promised time or not.
  bool runnable() const;

  // Takes the period of the first member. The promise begins now, or at `from`. May allocate.
  void Join(Vcpu& vcpu, Time now, Time from);
  // Returns when the member's room is free.
  Time Leave(Vcpu& vcpu, Time now);
  // The siblings that a member may use changed; there are some left. The gang has no more for it
  // until the next period.
  void DealAgain();
  // Begins a new period if the present one is over.
  void Renew(Time now);
  // Brings a member's own budget to the period that `now` is in, and notes what it missed of those
  // before. What it had of the one that it was in is accounted for; of later ones it had `between`.
  void RenewMember(Vcpu& vcpu, Time now, Duration between = Duration(0)) const;
  // `vcpu` is runnable again, and the core can be the gang's from `from` on.
  void Wake(const Vcpu& vcpu, Time now, Time from);
  // The core has been the gang's for so long, and a sibling lost `lost` of it whose member is owed
  // more. Returns what of the time was the gang's.
  Duration Charge(Duration time, Duration lost);
  void ChargeHandOver() { left_ -= std::min(left_, terms_.hand_over); }

 private:
  static constexpr Time kOvertime = Time::max() - Duration(1);

  void Deal();
  void NoteMissed(const Vcpu& vcpu, Time now, Duration between) const;
  Duration Outstanding() const;
  Duration PartOf(const Vcpu& vcpu) const;
  Duration Reserve() const;

  const GangTerms terms_;
  Duration period_{0};
  Duration hand_overs_{0};
  Duration budget_{0};  // with hand-overs, as is left_
  Duration left_{0};
  Duration reserve_left_{0};  // of what siblings may lose in the present period
  Time deadline_{};
  List<Vcpu, &Vcpu::member> members_;
};

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_GANG_SERVER_H_
