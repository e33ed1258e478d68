// SPDX-License-Identifier: Apache-2.0
// What monitoring sees of the auditor's report.
#include "agent/metrics/audit_metrics.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"

namespace corral::metrics {
namespace {

using std::chrono::milliseconds;

TEST(AuditMetrics, SayForHowLongVmsSharedCores) {
  AuditCore core;
  core.spans[AUDIT_VCPU_ENFORCED] = {.time = milliseconds(250), .count = 3};
  core.spans[AUDIT_VCPU_EXPOSED] = {.time = milliseconds(1500), .count = 4};
  core.spans[AUDIT_VCPU_VCPU] = {.time = milliseconds(1750), .count = 7};
  AuditReport report;
  report.observed = std::chrono::seconds(60);
  report.total += core;
  Families families;
  AddAudit(report, families);
  const std::string text = Text(families);
  for (const char* sample :
       {"corral_audit_observed_seconds_total 60\n", "corral_audit_complete 1\n",
        "corral_audit_shared_seconds_total{enforced=\"true\"} 0.25\n",
        "corral_audit_shared_seconds_total{enforced=\"false\"} 1.5\n",
        "corral_audit_overlaps_total 7\n", "# TYPE corral_audit_overlaps_total counter\n"})
    EXPECT_TRUE(absl::StrContains(text, sample)) << sample << text;
}

TEST(AuditMetrics, AGapIsNotHidden) {
  AuditReport report;
  report.gaps.missed_switches = 1;
  Families families;
  AddAudit(report, families);
  EXPECT_TRUE(absl::StrContains(Text(families), "corral_audit_complete 0\n"));
}

}  // namespace
}  // namespace corral::metrics
