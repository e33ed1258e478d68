// SPDX-License-Identifier: Apache-2.0
#include "policies/secure_vm/admission.h"

#include <algorithm>

#include "policies/secure_vm/gang_server.h"

namespace corral::secure_vm {
namespace {

double Ratio(Duration part, Duration whole) {
  return static_cast<double>(part.count()) / static_cast<double>(whole.count());
}

}  // namespace

double CoreAdmission::Share(Duration period, const std::vector<Duration>& budgets) const {
  return Ratio(GangTime(budgets, nr_siblings_, nullptr) +
                   HandOverTime(budgets.size(), nr_siblings_, costs_.hand_over),
               period);
}

// Deadlines of longer periods do not press those of shorter ones, so each period is looked at with
// those up to its own.
bool CoreAdmission::Feasible(const Servers& servers) const {
  const double capacity = 1.0 - costs_.reserve_percent / 100.0;
  double share = 0;
  for (auto it = servers.begin(); it != servers.end(); ++it) {
    const Duration period = it->first.first;
    share += Share(period, it->second);
    const auto next = std::next(it);
    if (next != servers.end() && next->first.first == period) continue;
    if (share + Ratio(costs_.min_tenure + costs_.hand_over, period) > capacity) return false;
  }
  return true;
}

bool CoreAdmission::Fits(DomainId domain, Duration budget, Duration period) const {
  Servers servers = servers_;
  servers[{period, domain}].push_back(budget);
  return Feasible(servers);
}

// To a microsecond.
Duration CoreAdmission::Room(DomainId domain, Duration period) const {
  Duration fits{0};
  Duration too_much = period + std::chrono::microseconds(1);
  while (too_much - fits > std::chrono::microseconds(1)) {
    const Duration middle = fits + (too_much - fits) / 2;
    (Fits(domain, middle, period) ? fits : too_much) = middle;
  }
  return fits;
}

void CoreAdmission::Add(DomainId domain, Duration budget, Duration period) {
  servers_[{period, domain}].push_back(budget);
}

void CoreAdmission::Remove(DomainId domain, Duration budget, Duration period) {
  const auto server = servers_.find({period, domain});
  if (server == servers_.end()) return;
  std::vector<Duration>& budgets = server->second;
  const auto it = std::find(budgets.begin(), budgets.end(), budget);
  if (it != budgets.end()) budgets.erase(it);
  if (budgets.empty()) servers_.erase(server);
}

double CoreAdmission::utilization() const {
  double share = 0;
  for (const auto& [key, budgets] : servers_) share += Share(key.first, budgets);
  return share;
}

double CoreAdmission::UtilizationWith(DomainId domain, Duration budget, Duration period) const {
  CoreAdmission with = *this;
  with.Add(domain, budget, period);
  return with.utilization();
}

}  // namespace corral::secure_vm
