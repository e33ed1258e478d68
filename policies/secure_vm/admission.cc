// SPDX-License-Identifier: Apache-2.0
#include "policies/secure_vm/admission.h"

#include <algorithm>

namespace corral::secure_vm {
namespace {

double Ratio(Duration part, Duration whole) {
  return static_cast<double>(part.count()) / static_cast<double>(whole.count());
}

}  // namespace

double CoreAdmission::Share(Duration period, const std::vector<Promised>& vcpus) const {
  return Ratio(
      GangTime(vcpus, nr_siblings_, nullptr) + HandOverTime(vcpus, nr_siblings_, costs_.hand_over),
      period);
}

// Deadlines of longer periods do not press those of shorter ones, so each period is looked at with
// those up to its own.
bool CoreAdmission::Fits(const Demand& demand) const {
  if ((demand.siblings & AllSiblings(nr_siblings_)) == 0) return false;
  // Most cores that are full are known at once: a server that is new needs at least the budget.
  const bool joins = servers_.count({demand.period, demand.domain}) > 0;
  if (!joins && utilization_ + Ratio(demand.budget, demand.period) > Capacity()) return false;
  double share = 0;
  bool counted = false;
  for (auto it = servers_.begin(); it != servers_.end() || !counted;) {
    const bool own = !counted && (it == servers_.end() || demand.period <= it->first.first);
    const Duration period = own ? demand.period : it->first.first;
    if (own) share += Increase(demand);
    counted |= own;
    for (; it != servers_.end() && it->first.first == period; ++it) share += it->second.share;
    if (share + Ratio(costs_.min_tenure + costs_.hand_over, period) > Capacity()) return false;
  }
  return true;
}

// To a microsecond.
Duration CoreAdmission::Room(const Demand& demand) const {
  Duration fits{0};
  Duration too_much = demand.period + std::chrono::microseconds(1);
  while (too_much - fits > std::chrono::microseconds(1)) {
    Demand middle = demand;
    middle.budget = fits + (too_much - fits) / 2;
    (Fits(middle) ? fits : too_much) = middle.budget;
  }
  return fits;
}

void CoreAdmission::Add(const Demand& demand) {
  Server& server = servers_[{demand.period, demand.domain}];
  server.vcpus.push_back({demand.budget, demand.siblings});
  server.share = Share(demand.period, server.vcpus);
  SumUp();
}

void CoreAdmission::Remove(const Demand& demand) {
  const auto server = servers_.find({demand.period, demand.domain});
  if (server == servers_.end()) return;
  std::vector<Promised>& vcpus = server->second.vcpus;
  const auto it = std::find_if(vcpus.begin(), vcpus.end(), [&](const Promised& promised) {
    return promised.budget == demand.budget && promised.siblings == demand.siblings;
  });
  if (it != vcpus.end()) vcpus.erase(it);
  server->second.share = Share(demand.period, vcpus);
  if (vcpus.empty()) servers_.erase(server);
  SumUp();
}

// Anew, so that no rounding errors pile up.
void CoreAdmission::SumUp() {
  utilization_ = 0;
  for (const auto& [key, server] : servers_) utilization_ += server.share;
}

double CoreAdmission::Increase(const Demand& demand) const {
  const auto server = servers_.find({demand.period, demand.domain});
  std::vector<Promised> vcpus;
  if (server != servers_.end()) vcpus = server->second.vcpus;
  vcpus.push_back({demand.budget, demand.siblings});
  return Share(demand.period, vcpus) - (server == servers_.end() ? 0 : server->second.share);
}

}  // namespace corral::secure_vm
