// SPDX-License-Identifier: Apache-2.0
// CoreScheduler, third part: which domain is next, and which of its vCPUs.
#include <algorithm>
#include <tuple>

#include "policies/secure_vm/core_scheduler.h"

namespace corral::secure_vm {

void CoreScheduler::Schedule(Time now, CoreTransaction& txn) {
  Settle(now);
  usable_ = 0;
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    if (txn.usable(i)) usable_ |= SiblingBit(i);
  }
  Decide(now, txn);
  NoteOwing();
  SayWhy(now);
  TellNews(now);
}

void CoreScheduler::Decide(Time now, CoreTransaction& txn) {
  if (holder_ != nullptr && !holder_->runnable()) SetHolder(nullptr, now);
  Pen* const next = Choose(now);
  serving_ = next == nullptr ? nullptr : NextServed(*next);
  if (next == nullptr) {
    last_.fill(Served());
    return;
  }
  MeasureShare(*next);
  SettleAwakeIn(*next);
  Propose(*next, now, txn);
}

// ---- which domain ----

// Whether it has a vCPU that may run: its cap may have ended the turn of those that do.
bool CoreScheduler::HasWork(const Pen& pen) const {
  if (!pen.waiting.empty()) return true;
  return std::any_of(running_.begin(), running_.end(),
                     [&](const Vcpu* v) { return v != nullptr && v->pen == &pen && !v->spent(); });
}

Pen* CoreScheduler::Choose(Time now) {
  Pen* const holder = holder_ != nullptr && HasWork(*holder_) ? holder_ : nullptr;
  Pen* const fair = ChooseByShare();
  const bool settled = holder != nullptr && now < held_since_ + tenures_.shortest;
  if (Pen* const due = ChooseByDeadline(); due != nullptr) {
    // Whoever had what it was promised would now have others' promised time.
    const bool served = settled && serving_ != nullptr && holder->Due() != serving_;
    return settled && !served ? holder : due;
  }
  if (fair == nullptr) return holder != nullptr ? holder : holder_;
  if (holder == nullptr) return NextTurn(nullptr, *fair, now);
  if (settled) return holder;
  // Promised time is over at its end, whatever is left of a turn.
  if (serving_ != nullptr || now >= TurnEnd()) {
    if (Pen* const next = NextTurn(holder, *fair, now); next != holder) return next;
    turn_since_ = now;
  }
  return MayInterrupt(*fair, *holder) ? fair : holder;
}

// Whose turn is next, the holder's again perhaps.
Pen* CoreScheduler::NextTurn(Pen* holder, Pen& fair, Time now) const {
  if (co_running_ != nullptr) return NextInStep(holder, now);
  return holder == nullptr || fair.vtime <= holder->vtime + Slack(holder->share) ? &fair : holder;
}

// It does not have to wait for the end of the turn. In step, who has not slept has to.
bool CoreScheduler::MayInterrupt(const Pen& pen, const Pen& holder) const {
  if (co_running_ != nullptr && !pen.rested) return false;
  return pen.vtime + Turn(pen.share) <= holder.vtime;
}

// Of the pen's servers that are due, the one that goes on being served.
GangServer* CoreScheduler::NextServed(const Pen& pen) const {
  GangServer* const due = pen.Due();
  for (const std::unique_ptr<GangServer>& server : pen.servers) {
    const bool goes_on = server.get() == serving_ && due != nullptr && server->active();
    if (goes_on && server->deadline() == due->deadline()) return serving_;
  }
  return due;
}

// Of the domains that are owed promised time; the holder before others with the same deadline.
Pen* CoreScheduler::ChooseByDeadline() const {
  Pen* best = nullptr;
  Time deadline = Time::max();
  const auto consider = [&](Pen* pen) {
    const GangServer* const due = pen->Due();
    if (due == nullptr || due->deadline() >= deadline) return;
    best = pen;
    deadline = due->deadline();
  };
  if (holder_ != nullptr) consider(holder_);
  for (Pen* pen = ring_.front(); pen != nullptr; pen = ring_.Next(*pen)) consider(pen);
  return best;
}

Pen* CoreScheduler::ChooseByShare() const {
  Pen* best = nullptr;
  for (Pen* pen = ring_.front(); pen != nullptr; pen = ring_.Next(*pen)) {
    if (best == nullptr || pen->vtime < best->vtime) best = pen;
  }
  return best;
}

// ---- in step with other cores ----

// All cores' turns end at multiples of the tenure: this one at the one that is nearest to a tenure
// after its beginning.
Time CoreScheduler::TurnEnd() const {
  if (co_running_ == nullptr) return turn_since_ + tenures_.longest;
  return PeriodStart(turn_since_ + tenures_.longest * 3 / 2, tenures_.longest);
}

// Each core goes through its domains in the same order, those on many cores first, and where it is
// follows from the time: so cores that have as many domains come to the same one at the same time.
// Only who is more than a turn ahead of another has to wait for that.
Pen* CoreScheduler::NextInStep(Pen* holder, Time now) const {
  const auto for_each = [&](auto f) {
    if (holder != nullptr) f(*holder);
    for (Pen* pen = ring_.front(); pen != nullptr; pen = ring_.Next(*pen)) f(*pen);
  };
  const auto rank = [&](const Pen& pen) {
    return std::tuple(-co_running_->Count(pen.domain), pen.domain);
  };
  int64_t nr = 0;
  Pen* next = nullptr;
  for_each([&](Pen& pen) {
    ++nr;
    if (next == nullptr || pen.vtime < next->vtime) next = &pen;
  });
  const int64_t least = next->vtime;
  const int64_t turn = (now + tenures_.longest / 2).time_since_epoch() / tenures_.longest % nr;
  for_each([&](Pen& pen) {
    int64_t before = 0;
    for_each([&](const Pen& other) { before += rank(other) < rank(pen); });
    if (before == turn && pen.vtime <= least + Turn(pen.share)) next = &pen;
  });
  return next;
}

// ---- which vCPUs ----

// A sibling that could not take the vCPU passes it on to the next that it may use.
int CoreScheduler::HomeOf(const Vcpu& vcpu) const {
  int home = vcpu.home;
  for (int n = vcpu.task->latch_failures % core_.nr_cpus; n > 0; --n) {
    do {
      home = (home + 1) % core_.nr_cpus;
    } while (!vcpu.may(home));
  }
  return home;
}

// Of the whole core: where nothing of the domain is to run, nothing may.
void CoreScheduler::Propose(Pen& pen, Time now, CoreTransaction& txn) {
  Plan plan{};
  const bool held = &pen == holder_;
  PlanOwed(pen, txn, plan);
  Siblings owed = 0;
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    if (plan[i] != nullptr) owed |= SiblingBit(i);
  }
  for (int i = 0; held && i < txn.nr_siblings(); ++i) {
    Vcpu* const vcpu = running_[i];
    if (!txn.usable(i) || plan[i] != nullptr || vcpu == nullptr) continue;
    const bool planned = std::find(plan.begin(), plan.end(), vcpu) != plan.end();
    if (!planned && !vcpu->spent() && vcpu->may(i)) plan[i] = vcpu;
  }
  PlanFree(pen, txn, owed, plan);
  if (held) PlanAwakened(pen, txn, plan);
  if (held) PlanFavoured(pen, txn, plan);
  if (held) PlanTurns(pen, txn, now, plan);
  for (Vcpu* vcpu : plan) {
    if (vcpu == nullptr) continue;
    const bool over = vcpu->sibling >= 0 && vcpu->turn_over(now, tenures_.longest);
    if (over) vcpu->since = now;  // and nobody had less: another turn
    vcpu->promised_turn = vcpu->owed();
  }
  bool change = !held;
  for (int i = 0; i < txn.nr_siblings(); ++i) change |= txn.usable(i) && plan[i] != running_[i];
  for (int i = 0; change && i < txn.nr_siblings(); ++i) {
    if (!txn.usable(i) || (held && plan[i] != nullptr && plan[i] == running_[i])) continue;
    if (plan[i] != nullptr) {
      txn.Run(i, *plan[i]->task);
    } else {
      txn.Idle(i);
    }
  }
}

// Those that are owed promised time, on their home siblings; earlier deadlines first, of the same
// the server that is charged for it, and of that one whom others yielded to.
void CoreScheduler::PlanOwed(const Pen& pen, const CoreTransaction& txn, Plan& plan) const {
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    if (!txn.usable(i)) continue;
    const auto rank = [&](const Vcpu& v) {
      return std::tuple(v.server->deadline(), v.server != serving_, !v.favoured);
    };
    const auto better = [&](const Vcpu& vcpu) {
      return plan[i] == nullptr || rank(vcpu) < rank(*plan[i]);
    };
    Vcpu* const running = running_[i];
    if (running != nullptr && running->pen == &pen && running->owed() && HomeOf(*running) == i)
      plan[i] = running;
    for (Vcpu* v = pen.waiting.front(); v != nullptr; v = pen.waiting.Next(*v)) {
      if (v->owed() && HomeOf(*v) == i && better(*v)) plan[i] = v;
    }
  }
}

// Who waits, may use one of the siblings, and is not planned for: first those whose turn was cut
// short, then those that are owed promised time, then those that others yielded to, then those that
// had least.
Vcpu* CoreScheduler::NextWaiting(const Pen& pen, const Plan& plan, Siblings siblings,
                                 Favours favours) const {
  const auto rank = [&](const Vcpu& v) {
    const bool first = favours == Favours::kCount && GoesFirst(v);
    return std::tuple(!v.resumes, !v.owed(), !first, v.vtime);
  };
  Vcpu* best = nullptr;
  for (Vcpu* v = pen.waiting.front(); v != nullptr; v = pen.waiting.Next(*v)) {
    if ((v->siblings & siblings) == 0) continue;
    if (std::find(plan.begin(), plan.end(), v) != plan.end()) continue;
    if (best == nullptr || rank(*v) < rank(*best)) best = v;
  }
  return best;
}

// Siblings that nobody has.
void CoreScheduler::PlanFree(const Pen& pen, const CoreTransaction& txn, Siblings owed,
                             Plan& plan) const {
  Seating seating(plan, txn.nr_siblings(), usable_, owed);
  while (const Siblings open = seating.Open()) {
    Vcpu* const vcpu = NextWaiting(pen, plan, open, Favours::kCount);
    if (vcpu == nullptr) return;
    seating.Seat(*vcpu);
  }
}

// Of those that stay, and need not, the sibling of the one that had most, if `instead` may use it;
// -1: none.
int CoreScheduler::WithMost(const CoreTransaction& txn, const Plan& plan,
                            const Vcpu& instead) const {
  int most = -1;
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    const bool stays = txn.usable(i) && plan[i] != nullptr && plan[i] == running_[i];
    if (!stays || !instead.may(i) || plan[i]->owed()) continue;
    if (most < 0 || plan[i]->vtime > plan[most]->vtime) most = i;
  }
  return most;
}

// Whoever has just woken up goes before the one that had most, if he had no more.
void CoreScheduler::PlanAwakened(const Pen& pen, const CoreTransaction& txn, Plan& plan) const {
  for (Vcpu* v = pen.waiting.front(); v != nullptr; v = pen.waiting.Next(*v)) {
    if (!v->slept || std::find(plan.begin(), plan.end(), v) != plan.end()) continue;
    const int most = WithMost(txn, plan, *v);
    if (most >= 0 && plan[most]->vtime >= v->vtime) plan[most] = v;
  }
}

// Others yielded to it, and it is not far ahead of the rest of its domain: otherwise two that yield
// to each other would keep out a third.
bool CoreScheduler::GoesFirst(const Vcpu& vcpu) const {
  return vcpu.favoured && vcpu.vtime <= vcpu.pen->least_vtime + Turn(vcpu.weight());
}

void CoreScheduler::PlanFavoured(const Pen& pen, const CoreTransaction& txn, Plan& plan) const {
  for (Vcpu* v = pen.waiting.front(); v != nullptr; v = pen.waiting.Next(*v)) {
    if (!GoesFirst(*v) || std::find(plan.begin(), plan.end(), v) != plan.end()) continue;
    if (const int most = WithMost(txn, plan, *v); most >= 0) plan[most] = v;
  }
}

// Those whose turn is over, first those that had most, make room for those that wait and had less.
void CoreScheduler::PlanTurns(const Pen& pen, const CoreTransaction& txn, Time now,
                              Plan& plan) const {
  const auto over = [&](int i) {
    return txn.usable(i) && plan[i] != nullptr && plan[i] == running_[i] && !plan[i]->owed() &&
           plan[i]->turn_over(now, tenures_.longest);
  };
  for (Siblings looked_at = 0;;) {
    int most = -1;
    for (int i = 0; i < txn.nr_siblings(); ++i) {
      if (!over(i) || (looked_at & SiblingBit(i)) != 0) continue;
      if (most < 0 || plan[i]->vtime > plan[most]->vtime) most = i;
    }
    if (most < 0) return;
    looked_at |= SiblingBit(most);
    Vcpu* const vcpu = NextWaiting(pen, plan, SiblingBit(most), Favours::kDoNotCount);
    if (vcpu == nullptr) continue;
    if (plan[most]->vtime + Slack(vcpu->weight()) >= vcpu->vtime) plan[most] = vcpu;
  }
}

// ---- until when ----

Time CoreScheduler::NextDeadline() const {
  Time at = Time::max();
  const auto consider = [&](Time when) {
    if (when > settled_at_) at = std::min(at, when);
  };
  for (const std::unique_ptr<Pen>& pen : pens_) {
    for (const Vcpu* v = pen->throttled.front(); v != nullptr; v = pen->throttled.Next(*v))
      consider(v->cap_end);
  }
  for (const Vcpu* v : running_) {
    if (v != nullptr && v->capped()) consider(settled_at_ + v->cap_left);
  }
  const bool contended = !ring_.empty() || (holder_ != nullptr && !holder_->waiting.empty());
  if (!contended || holder_ == nullptr) return at;
  for (const std::unique_ptr<Pen>& pen : pens_) {
    for (const std::unique_ptr<GangServer>& server : pen->servers) {
      if (server->runnable()) consider(server->period_end());
    }
  }
  if (serving_ != nullptr) consider(settled_at_ + serving_->left());
  for (const Vcpu* v : running_) {
    if (v == nullptr) continue;
    if (v->server != nullptr) consider(settled_at_ + v->left);
    if (!holder_->waiting.empty()) consider(v->since + tenures_.longest);
  }
  if (ring_.empty()) return at;
  consider(held_since_ + tenures_.shortest);
  consider(TurnEnd());
  return at;
}

}  // namespace corral::secure_vm
