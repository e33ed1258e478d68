// SPDX-License-Identifier: Apache-2.0
#include "policies/secure_vm/gang_server.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace corral::secure_vm {
namespace {

// What remains of `time` per `period` when only `rest` of the period does.
Duration InProportion(Duration time, Duration rest, Duration period) {
  const double share = static_cast<double>(rest.count()) / static_cast<double>(period.count());
  return Duration(static_cast<int64_t>(static_cast<double>(time.count()) * share));
}

}  // namespace

Duration GangTime(absl::Span<const Duration> budgets, int nr_siblings, std::vector<int>* home) {
  std::vector<size_t> order(budgets.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return budgets[a] > budgets[b]; });
  if (home != nullptr) home->assign(budgets.size(), 0);
  std::array<Duration, GHOST_MAX_SIBLINGS> load{};
  const auto end = load.begin() + nr_siblings;
  for (const size_t i : order) {
    const auto least = std::min_element(load.begin(), end);
    *least += budgets[i];
    if (home != nullptr) (*home)[i] = static_cast<int>(least - load.begin());
  }
  return *std::max_element(load.begin(), end);
}

Duration HandOverTime(size_t nr_vcpus, int nr_siblings, Duration hand_over) {
  const auto siblings = static_cast<size_t>(nr_siblings);
  return hand_over * (2 + nr_vcpus - std::min(nr_vcpus, siblings));
}

bool GangServer::active() const {
  if (left_ <= Duration(0)) return false;
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
void GangServer::Join(Vcpu& vcpu, Time now) {
  if (members_.empty()) {
    period_ = vcpu.task->period;
    deadline_ = PeriodStart(now, period_) + period_;
  } else {
    Renew(now);
  }
  members_.PushBack(vcpu);
  vcpu.server = this;
  vcpu.left = InProportion(vcpu.task->granted, deadline_ - now, period_);
  vcpu.left_end = deadline_;
  Deal();
}

void GangServer::Leave(Vcpu& vcpu) {
  members_.Erase(vcpu);
  vcpu.server = nullptr;
  vcpu.left = Duration(0);
  Deal();
}

void GangServer::RenewMember(Vcpu& vcpu, Time now) const {
  if (now < vcpu.left_end) return;
  vcpu.left = vcpu.task->granted;
  vcpu.left_end = PeriodStart(now, period_) + period_;
}

void GangServer::Renew(Time now) {
  if (now < deadline_) return;
  deadline_ = PeriodStart(now, period_) + period_;
  for (Vcpu* v = members_.front(); v != nullptr; v = members_.Next(*v)) RenewMember(*v, now);
  left_ = Demand();
}

void GangServer::Wake(const Vcpu& vcpu, Time now, Time from) {
  Renew(now);
  for (const Vcpu* v = members_.front(); v != nullptr; v = members_.Next(*v)) {
    if (v != &vcpu && v->owed()) return;  // it was awake all the time
  }
  const Duration rest = std::max(deadline_ - from, Duration(0));
  left_ = std::min(left_, InProportion(budget_, rest, period_));
}

void GangServer::Deal() {
  std::vector<Duration> budgets;
  std::vector<int> home;
  for (const Vcpu* v = members_.front(); v != nullptr; v = members_.Next(*v))
    budgets.push_back(v->task->granted);
  budget_ = GangTime(budgets, nr_siblings_, &home) + HandOvers();
  size_t i = 0;
  for (Vcpu* v = members_.front(); v != nullptr; v = members_.Next(*v)) v->home = home[i++];
  left_ = Demand();
}

// What members may still ask for, on the sibling with most.
Duration GangServer::Demand() const {
  std::array<Duration, GHOST_MAX_SIBLINGS> load{};
  for (const Vcpu* v = members_.front(); v != nullptr; v = members_.Next(*v))
    load[v->home] += v->left;
  return *std::max_element(load.begin(), load.end()) + HandOvers();
}

}  // namespace corral::secure_vm
