// SPDX-License-Identifier: Apache-2.0
// CoreScheduler, second part: who had what. A vCPU is charged with what it really had whenever it
// is looked at; the core's time, which siblings have in parallel, is settled once for each
// decision.
#include <algorithm>
#include <limits>

#include "policies/secure_vm/core_scheduler.h"

namespace corral::secure_vm {
namespace {

constexpr int64_t kDefaultWeight = 100;

}  // namespace

// With what it had since the last time. What of it belongs to an old period, and what to the
// present one, follows from its having run until now.
void CoreScheduler::Charge(Vcpu& vcpu, Time now) {
  const Duration had = std::max(vcpu.task->runtime - vcpu.seen, Duration(0));
  vcpu.seen += had;
  const Duration promised = vcpu.server == nullptr ? Duration(0) : ChargePromise(vcpu, had, now);
  if (vcpu.capped()) ChargeCap(vcpu, had, now);
  vcpu.vtime += had.count() * kDefaultWeight / vcpu.weight();
  if (std::exchange(vcpu.visits, false)) {
    vcpu.pen->had += had;
    vcpu.pen->wanted += had;
  }
  if (vcpu.sibling < 0 || vcpu.pen != holder_) return;
  had_[vcpu.sibling] += had;
  if (vcpu.server == serving_) served_[vcpu.sibling] += promised;
}

// Returns what of it was promised.
Duration CoreScheduler::ChargePromise(Vcpu& vcpu, Duration had, Time now) {
  Duration before{0};
  if (now >= vcpu.left_end) {
    const Duration present = std::min(had, now - PeriodStart(now, vcpu.server->period()));
    before = std::min(had - present, vcpu.left);
    vcpu.left -= before;
    vcpu.server->RenewMember(vcpu, now, had - present - before);
  }
  const Time start = vcpu.left_end - vcpu.server->period();
  const Duration within = std::min({had, std::max(now - start, Duration(0)), vcpu.left});
  vcpu.left -= within;
  return before + within;
}

// Caps are kept exactly in the long run: what was too much in one period lacks in the next.
void CoreScheduler::ChargeCap(Vcpu& vcpu, Duration had, Time now) {
  const Duration within =
      now < vcpu.cap_end ? had : std::min(had, now - PeriodStart(now, vcpu.task->cap_period));
  vcpu.cap_left -= had - within;
  RenewCap(vcpu, now);
  vcpu.cap_left -= within;
}

void CoreScheduler::RenewCap(Vcpu& vcpu, Time now) {
  if (!vcpu.capped() || now < vcpu.cap_end) return;
  vcpu.cap_left = vcpu.task->cap + std::min(vcpu.cap_left, Duration(0));
  vcpu.cap_end = PeriodStart(now, vcpu.task->cap_period) + vcpu.task->cap_period;
}

// What the core gave to a promise is not charged to its domain's share of the rest.
void CoreScheduler::SettleTime(Time now) {
  for (Vcpu* vcpu : running_) {
    if (vcpu != nullptr) Charge(*vcpu, now);
  }
  // How long a guest stays we are not told: all of the time is the domain's that lent the sibling.
  for (int i = 0; i < core_.nr_cpus; ++i) {
    if ((was_lent_ & SiblingBit(i)) != 0) had_[i] = std::max(had_[i], now - charged_at_);
  }
  was_lent_ = lent_;
  const Duration passed = now - charged_at_;
  charged_at_ = now;
  const Duration had = *std::max_element(had_.begin(), had_.end());
  Duration served{0};
  if (serving_ != nullptr) {
    const Duration most = *std::max_element(served_.begin(), served_.end());
    served = serving_->Charge(most, LostOf(most));
  }
  Ledger::Add(ledger_.core(index_).promised, served);
  if (holder_ != nullptr) {
    holder_->vtime += Virtual(had - served, holder_->share);
    // What its vCPUs had as guests of other cores it pays for here, but it is no time of this core.
    holder_->had += std::max(std::min(had, passed) - served, Duration(0));
    holder_->wanted -= served;
  }
  had_.fill(Duration(0));
  served_.fill(Duration(0));
}

// Who has a sibling, is owed something, and will be at the next SettleTime, lost what others had
// more until then: our decision was that it runs.
void CoreScheduler::NoteOwing() {
  owing_ = 0;
  for (int i = 0; i < core_.nr_cpus; ++i) {
    const Vcpu* const v = running_[i];
    if (v == nullptr || serving_ == nullptr || v->server != serving_ || !v->owed()) continue;
    owing_ |= SiblingBit(i);
    NoteServed(i, *serving_);
  }
}

Duration CoreScheduler::LostOf(Duration served) const {
  Duration lost{0};
  for (int i = 0; i < core_.nr_cpus; ++i) {
    if ((owing_ & SiblingBit(i)) == 0) continue;
    const Vcpu& vcpu = *running_[i];
    if (vcpu.server == serving_ && vcpu.owed()) lost = std::max(lost, served - served_[i]);
  }
  return lost;
}

// Brings everything up to `now`.
void CoreScheduler::Settle(Time now) {
  SettleTime(now);
  settled_at_ = now;
  for (const std::unique_ptr<Pen>& pen : pens_) {
    for (const std::unique_ptr<GangServer>& server : pen->servers) {
      if (!server->empty()) server->Renew(now);
    }
  }
  if (nr_throttled_ > 0) Unthrottle(now);
  SettleAwake();
}

void CoreScheduler::Unthrottle(Time now) {
  for (const std::unique_ptr<Pen>& pen : pens_) {
    for (Vcpu* next = pen->throttled.front(); next != nullptr;) {
      Vcpu& vcpu = *next;
      next = pen->throttled.Next(vcpu);
      RenewCap(vcpu, now);
      if (vcpu.spent()) continue;
      Dequeue(vcpu);
      Enqueue(vcpu, /*front=*/false, now);
      WakeServer(vcpu, now);
    }
  }
}

// A weight is a domain's, as libvirt's cpu_shares is, however many vCPUs it has: on each core
// domains share by the part of it that the lead says.
void CoreScheduler::MeasureShare(Pen& pen) const {
  int64_t weight = 1;
  float part = 0;
  const auto look = [&](const Vcpu& vcpu) {
    weight = std::max(weight, vcpu.weight());
    part = std::max(part, ledger_.of(vcpu.task->slot).part.load(std::memory_order_relaxed));
  };
  for (const Vcpu* v = pen.waiting.front(); v != nullptr; v = pen.waiting.Next(*v)) look(*v);
  for (const Vcpu* v : running_) {
    if (v != nullptr && v->pen == &pen) look(*v);
  }
  pen.share = static_cast<double>(weight) * (part > 0 ? part : 1);
}

int64_t CoreScheduler::Virtual(Duration time, double share) {
  return static_cast<int64_t>(static_cast<double>(time.count()) * kDefaultWeight / share);
}

// A turn, as vtime.
int64_t CoreScheduler::Turn(double share) const { return Virtual(tenures_.longest, share); }

// What makes no difference, as vtime: hand-overs are not worth a second turn in a row.
int64_t CoreScheduler::Slack(double share) const { return Virtual(tenures_.shortest, share); }

// Who slept may have had less than its share, up to a turn: than those that are runnable, or than
// the last one that was.
void CoreScheduler::SettleAwake() {
  int64_t least = std::numeric_limits<int64_t>::max();
  const auto look = [&](const Pen& pen) {
    if (!pen.woke) least = std::min(least, pen.vtime);
  };
  if (holder_ != nullptr && holder_->runnable()) look(*holder_);
  for (const Pen* pen = ring_.front(); pen != nullptr; pen = ring_.Next(*pen)) look(*pen);
  const bool nobody = least == std::numeric_limits<int64_t>::max();
  if (nobody) least = holder_ == nullptr ? least_vtime_ : holder_->vtime;
  least_vtime_ = std::max(least_vtime_, least);
  const auto admit = [&](Pen& pen) {
    if (!pen.woke) return;
    pen.woke = false;
    pen.rested = true;
    MeasureShare(pen);
    pen.vtime = std::max(pen.vtime, least_vtime_ - Turn(pen.share));
  };
  if (holder_ != nullptr) admit(*holder_);
  for (Pen* pen = ring_.front(); pen != nullptr; pen = ring_.Next(*pen)) admit(*pen);
}

// The same among the vCPUs of a domain, which have nothing to catch up with.
void CoreScheduler::SettleAwakeIn(Pen& pen) {
  int64_t least = std::numeric_limits<int64_t>::max();
  const auto look = [&](const Vcpu& vcpu) {
    if (!vcpu.woke) least = std::min(least, vcpu.vtime);
  };
  for (const Vcpu* v = pen.waiting.front(); v != nullptr; v = pen.waiting.Next(*v)) look(*v);
  for (const Vcpu* v : running_) {
    if (v != nullptr && v->pen == &pen) look(*v);
  }
  if (least != std::numeric_limits<int64_t>::max())
    pen.least_vtime = std::max(pen.least_vtime, least);
  for (Vcpu* v = pen.waiting.front(); v != nullptr; v = pen.waiting.Next(*v)) {
    if (v->woke) v->vtime = std::max(v->vtime, pen.least_vtime);
    v->woke = false;
  }
}

}  // namespace corral::secure_vm
