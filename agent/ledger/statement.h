// SPDX-License-Identifier: Apache-2.0
// What can be said to a tenant of a stretch of time, from the audit log. Plain values.
#ifndef CORRAL_AGENT_LEDGER_STATEMENT_H_
#define CORRAL_AGENT_LEDGER_STATEMENT_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/ledger/ledger.h"

namespace corral::ledger {

// Of the entries that lie within [from, to], in whole: what they do not cover nobody can speak of.
struct Statement {
  std::string tenant;  // "": all of the host
  absl::Time from, to;
  Duration covered{0};    // by entries that name the tenant
  Duration in_charge{0};  // of that
  Duration watched{0};    // of that
  Duration shared{0};     // of that: two VMs in the class, whichever they were, shared a core
  Duration exposed{0};
  uint64_t bypassed = 0;
  bool complete = true;
  size_t entries = 0;  // of the stretch, whomever they name
  std::string head;    // the log's last hash

  // Whether somebody looked all the time, and missed nothing: without, 0 ns is no proof.
  bool Proves() const;
};

// How much of a second at the joints of entries and looks is of no account.
inline constexpr Duration kJoint = std::chrono::seconds(2);

Statement State(const std::vector<Entry>& entries, const std::string& tenant, absl::Time from,
                absl::Time to);

}  // namespace corral::ledger

#endif  // CORRAL_AGENT_LEDGER_STATEMENT_H_
