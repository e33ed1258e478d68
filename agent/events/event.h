// SPDX-License-Identifier: Apache-2.0
// What corrald tells that somebody or something may have to react to: each kind with a name and a
// message id that stay for ever, what it means, and what to do.
//
// One table. The log, the journal's catalog, corral-events(7) and rules for alerts come from it.
// Immutable; any thread.
#ifndef CORRAL_AGENT_EVENTS_EVENT_H_
#define CORRAL_AGENT_EVENTS_EVENT_H_

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace corral {

enum class Event {
  kClassLost,
  kClassBack,
  kClassGone,
  kSiblingsOffline,
  kVmsResumed,
  kVmsResumedUnprotected,
  kBypassed,
  kUnprotected,
  kProtectedAgain,
  kBudgetRefused,
  kBudgetPromised,
  kPinConflict,
  kAgentLost,
  kAgentStarted,
  kAgentsMissing,
  kThreadsReleased,
  kPolicyChanged,
  kPolicyRefused,
  kPolicyRolledBack,
  kAgentUpgraded,
  kClassUpgraded,
  kClassNotUpgraded,
  kHandoverMended,
  kEnclaveReshaped,
  kAuditLogHead,
  kAuditLogBroken,
  kReloadRefused,
  kReloaded,
  kTicks,
};

struct EventSpec {
  Event event;
  absl::string_view name;        // as people write it
  absl::string_view message_id;  // systemd.journal-fields(7): 32 hex digits
  int priority;                  // syslog(3)
  absl::string_view subject;
  // Text as the help in config/keys.h: `word` is literal, name(8) a manual page.
  absl::string_view meaning;
  absl::string_view runbook;
};

// In the order of the enum.
absl::Span<const EventSpec> Events();
const EventSpec& SpecOf(Event event);

}  // namespace corral

#endif  // CORRAL_AGENT_EVENTS_EVENT_H_
