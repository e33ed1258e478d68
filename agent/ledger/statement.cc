// SPDX-License-Identifier: Apache-2.0
#include "agent/ledger/statement.h"

#include <algorithm>

namespace corral::ledger {

bool Statement::Proves() const {
  const Duration slack = kJoint * static_cast<int64_t>(entries);
  return covered > Duration(0) && complete && bypassed == 0 && in_charge + slack >= covered &&
         watched + slack >= covered;
}

Statement State(const std::vector<Entry>& entries, const std::string& tenant, absl::Time from,
                absl::Time to) {
  Statement sum{.tenant = tenant, .from = from, .to = to};
  if (!entries.empty()) sum.head = entries.back().hash;
  for (const Entry& entry : entries) {
    const Stretch& stretch = entry.stretch;
    if (stretch.begin < from || stretch.end > to) continue;
    ++sum.entries;
    if (!tenant.empty() &&
        std::find(stretch.tenants.begin(), stretch.tenants.end(), tenant) == stretch.tenants.end())
      continue;
    sum.covered += absl::ToChronoNanoseconds(stretch.end - stretch.begin);
    sum.in_charge += stretch.in_charge;
    sum.watched += stretch.watched;
    sum.shared += stretch.shared;
    sum.exposed += stretch.exposed;
    sum.bypassed += stretch.bypassed;
    sum.complete &= stretch.complete;
  }
  return sum;
}

}  // namespace corral::ledger
