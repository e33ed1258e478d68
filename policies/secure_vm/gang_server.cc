// SPDX-License-Identifier: Apache-2.0
#include "policies/secure_vm/gang_server.h"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <tuple>
#include <utility>

namespace corral::secure_vm {
namespace {

// What is less than this part of a budget is no miss: looks come a little late.
constexpr int kNoticed = 100;

// What remains of `time` per `period` when only `rest` of the period does.
Duration InProportion(Duration time, Duration rest, Duration period) {
  const double share = static_cast<double>(rest.count()) / static_cast<double>(period.count());
  return Duration(static_cast<int64_t>(static_cast<double>(time.count()) * share));
}

// Who serves whom: longest first is close to the best there is where all may use all siblings
// (Graham 1969). Where they may not, some find a better sibling once all have one.
class Dealing {
 public:
  Dealing(absl::Span<const Promised> vcpus, int nr_siblings)
      : vcpus_(vcpus), nr_siblings_(nr_siblings), homes_(vcpus.size(), 0) {
    const Siblings all = AllSiblings(nr_siblings);
    std::vector<size_t> order(vcpus.size());
    std::iota(order.begin(), order.end(), 0);
    const auto rank = [&](size_t i) {
      const Siblings siblings = vcpus[i].siblings & all;
      return std::tuple(std::popcount(siblings), -vcpus[i].budget, siblings);
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return rank(a) < rank(b); });
    for (const size_t i : order) {
      homes_[i] = Least(vcpus[i].siblings);
      load_[homes_[i]] += vcpus[i].budget;
    }
    while (MoveFromMost(order)) {
    }
  }

  Duration most() const { return *std::max_element(load_.begin(), load_.begin() + nr_siblings_); }
  std::vector<int> homes() && { return std::move(homes_); }

 private:
  int Least(Siblings siblings) const {
    int least = 0;
    bool found = false;
    for (int i = 0; i < nr_siblings_; ++i) {
      if ((siblings & SiblingBit(i)) == 0 || (found && load_[i] >= load_[least])) continue;
      least = i;
      found = true;
    }
    return least;
  }

  // One vCPU of the sibling that has most to do goes to one that has less to do even then.
  bool MoveFromMost(const std::vector<size_t>& order) {
    const auto most = std::max_element(load_.begin(), load_.begin() + nr_siblings_);
    for (const size_t i : order) {
      if (&load_[homes_[i]] != &*most) continue;
      const int other = Least(vcpus_[i].siblings);
      if (load_[other] + vcpus_[i].budget >= *most) continue;
      *most -= vcpus_[i].budget;
      load_[other] += vcpus_[i].budget;
      homes_[i] = other;
      return true;
    }
    return false;
  }

  const absl::Span<const Promised> vcpus_;
  const int nr_siblings_;
  std::vector<int> homes_;
  std::array<Duration, GHOST_MAX_SIBLINGS> load_{};
};

}  // namespace

Duration GangTime(absl::Span<const Promised> vcpus, int nr_siblings, std::vector<int>* home) {
  Dealing dealing(vcpus, nr_siblings);
  const Duration most = dealing.most();
  if (home != nullptr) *home = std::move(dealing).homes();
  return most;
}

Duration HandOverTime(absl::Span<const Promised> vcpus, int nr_siblings, Duration hand_over) {
  std::vector<Siblings> each;
  for (const Promised& vcpu : vcpus) each.push_back(vcpu.siblings);
  return hand_over * (2 + static_cast<int>(vcpus.size()) - AtOnce(each, nr_siblings));
}

bool GangServer::active() const {
  for (const Vcpu* v = members_.front(); v != nullptr; v = members_.Next(*v)) {
    if (v->owed()) return true;
  }
  return false;
}

bool GangServer::runnable() const {
  for (const Vcpu* v = members_.front(); v != nullptr; v = members_.Next(*v)) {
    if (v->runnable()) return true;
  }
  return false;
}

// The promise holds from the next period on; until then there is a part.
void GangServer::Join(Vcpu& vcpu, Time now, Time from) {
  if (members_.empty()) {
    period_ = vcpu.task->period;
    deadline_ = PeriodStart(now, period_) + period_;
  } else {
    Renew(now);
  }
  const bool first = members_.empty();
  const Duration before = first ? Duration(0) : Outstanding();
  members_.PushBack(vcpu);
  vcpu.server = this;
  vcpu.budget = vcpu.task->granted;
  vcpu.promised_from = std::max(now, from);
  vcpu.left_end = deadline_;
  vcpu.left = PartOf(vcpu);
  Deal();
  const Duration most = Outstanding();
  left_ = first ? most : std::min(most, left_ + std::max(most - before, Duration(0)));
  if (!first) return;
  const Duration rest = std::max(deadline_ - vcpu.promised_from, Duration(0));
  reserve_left_ = InProportion(Reserve(), rest, period_);
}

Time GangServer::Leave(Vcpu& vcpu, Time now) {
  RenewMember(vcpu, now);
  const Duration had = PartOf(vcpu) - vcpu.left;
  const Time start = std::max(vcpu.left_end - period_, vcpu.promised_from);
  const Duration share = InProportion(period_, had, vcpu.budget);
  members_.Erase(vcpu);
  vcpu.server = nullptr;
  vcpu.left = Duration(0);
  DealAgain();
  return had > Duration(0) ? start + share : now;
}

// What is promised of the period that ends at left_end.
Duration GangServer::PartOf(const Vcpu& vcpu) const {
  const Time start = std::max(vcpu.left_end - period_, vcpu.promised_from);
  if (start >= vcpu.left_end) return Duration(0);
  return InProportion(vcpu.budget, vcpu.left_end - start, period_);
}

// Nothing of a period that it did not want all of. Who computes undisturbed is not looked at for
// many.
void GangServer::NoteMissed(const Vcpu& vcpu, Time now, Duration between) const {
  if (vcpu.paused || vcpu.promised_from > vcpu.left_end - period_) return;
  const int64_t more = (PeriodStart(now, period_) - vcpu.left_end) / period_;
  const Duration later = std::max(more * vcpu.budget - between, Duration(0));
  const Duration noticed = vcpu.budget / kNoticed;
  if (vcpu.left > noticed) vcpu.task->waits.Miss(vcpu.left, 1);
  if (later > more * noticed) vcpu.task->waits.Miss(later, (later - Duration(1)) / vcpu.budget + 1);
}

void GangServer::RenewMember(Vcpu& vcpu, Time now, Duration between) const {
  if (now < vcpu.left_end) return;
  NoteMissed(vcpu, now, between);
  vcpu.paused = !vcpu.runnable();
  vcpu.left_end = PeriodStart(now, period_) + period_;
  vcpu.left = PartOf(vcpu);
}

void GangServer::Renew(Time now) {
  if (now < deadline_) return;
  deadline_ = PeriodStart(now, period_) + period_;
  for (Vcpu* v = members_.front(); v != nullptr; v = members_.Next(*v)) RenewMember(*v, now);
  left_ = Outstanding();
  reserve_left_ = Reserve();
}

void GangServer::Wake(const Vcpu& vcpu, Time now, Time from) {
  Renew(now);
  for (const Vcpu* v = members_.front(); v != nullptr; v = members_.Next(*v)) {
    if (v != &vcpu && v->owed()) return;  // it was awake all the time
  }
  const Duration rest = std::max(deadline_ - from, Duration(0));
  left_ = std::min(left_, InProportion(budget_, rest, period_));
  reserve_left_ = std::min(reserve_left_, InProportion(Reserve(), rest, period_));
}

void GangServer::DealAgain() {
  Deal();
  left_ = std::min(left_, Outstanding());
  reserve_left_ = std::min(reserve_left_, Reserve());
}

Duration GangServer::Charge(Duration time, Duration lost) {
  if (left_ == Duration(0)) return Duration(0);
  const Duration back = std::min({lost, reserve_left_, time});
  reserve_left_ -= back;
  left_ += back;
  const Duration had = std::min(left_, time);
  left_ -= had;
  return had;
}

// As much in proportion as of the whole core: what is promised, and this much on top of each
// promise, is the core.
Duration GangServer::Reserve() const {
  return budget_ * terms_.reserve_percent / (100 - terms_.reserve_percent);
}

void GangServer::Deal() {
  std::vector<Promised> vcpus;
  std::vector<int> home;
  for (const Vcpu* v = members_.front(); v != nullptr; v = members_.Next(*v))
    vcpus.push_back({v->budget, v->siblings});
  hand_overs_ = HandOverTime(vcpus, terms_.nr_siblings, terms_.hand_over);
  budget_ = GangTime(vcpus, terms_.nr_siblings, &home) + hand_overs_;
  size_t i = 0;
  for (Vcpu* v = members_.front(); v != nullptr; v = members_.Next(*v)) v->home = home[i++];
}

// What members may still ask for, on the sibling with most, and all hand-overs.
Duration GangServer::Outstanding() const {
  std::array<Duration, GHOST_MAX_SIBLINGS> load{};
  for (const Vcpu* v = members_.front(); v != nullptr; v = members_.Next(*v))
    load[v->home] += v->left;
  return *std::max_element(load.begin(), load.end()) + hand_overs_;
}

}  // namespace corral::secure_vm
