// SPDX-License-Identifier: Apache-2.0
// What a background measurement adds to samples.
#include "agent/report/audit_watch.h"

#include <gtest/gtest.h>

#include "kernel/audit/report.h"

namespace corral::report {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(AuditWatchTest, TellsWhatWasAddedSinceTheLastLook) {
  AuditReport report;
  report.epoch = Time(seconds(5));
  report.total.spans[AUDIT_VCPU_ENFORCED].time = milliseconds(3);
  report.total.spans[AUDIT_VCPU_EXPOSED].time = milliseconds(10);
  AuditWatch watch("/nonexistent");
  EXPECT_FALSE(watch.Look(&report).has_value());
  report.total.spans[AUDIT_VCPU_EXPOSED].time = milliseconds(14);
  std::optional<AuditSample> seen = watch.Look(&report);
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(seen->enforced, Duration(0));
  EXPECT_EQ(seen->exposed, milliseconds(4));
  EXPECT_TRUE(seen->complete);
  // Somebody began to measure anew.
  report.epoch = Time(seconds(9));
  report.total.spans[AUDIT_VCPU_EXPOSED].time = milliseconds(2);
  report.gaps.missed_probes = 1;
  seen = watch.Look(&report);
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(seen->exposed, milliseconds(2));
  EXPECT_EQ(seen->enforced, milliseconds(3));
  EXPECT_FALSE(seen->complete);
  EXPECT_FALSE(watch.Look(nullptr).has_value());
  EXPECT_FALSE(watch.Look(&report).has_value());
  EXPECT_FALSE(watch.Look().has_value()) << "nothing is pinned there";
}

}  // namespace
}  // namespace corral::report
