// SPDX-License-Identifier: Apache-2.0
// What the background measurement of `corralctl audit` saw since the last look, if there is one.
// One thread.
#ifndef CORRAL_AGENT_REPORT_AUDIT_WATCH_H_
#define CORRAL_AGENT_REPORT_AUDIT_WATCH_H_

#include <optional>
#include <string>

#include "agent/report/sample.h"

namespace corral {
struct AuditReport;
}

namespace corral::report {

class AuditWatch {
 public:
  // `pin_dir` as Auditor::Pin has it.
  explicit AuditWatch(std::string pin_dir) : pin_dir_(std::move(pin_dir)) {}

  // None: there is no measurement, or there was none at the last look.
  std::optional<AuditSample> Look();
  // The same of a report that somebody else has read; nullptr: there is none.
  std::optional<AuditSample> Look(const AuditReport* report);

 private:
  struct Totals {
    Time epoch{};
    AuditSample sums;
    bool gaps = false;
  };

  const std::string pin_dir_;
  std::optional<Totals> before_;
};

}  // namespace corral::report

#endif  // CORRAL_AGENT_REPORT_AUDIT_WATCH_H_
