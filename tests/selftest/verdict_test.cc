// SPDX-License-Identifier: Apache-2.0
// Each thing that can be wrong with a self-test's figures is seen, and nothing else is then.
#include "agent/selftest/verdict.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "absl/strings/match.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

SelftestFigures Good() {
  SelftestFigures f{.kernel = "6.13.0", .cpus = CpuSet({4, 5, 6, 7}), .own_enclave = true};
  f.before = {.observed = seconds(10),
              .core_time = seconds(19),
              .cross_vm = seconds(12),
              .forced_idle = milliseconds(10),
              .core_switches = 700,
              .ran = {seconds(3), seconds(4)}};
  f.corral = f.before;
  f.corral.cross_vm = Duration(0);
  f.by_agent = 990;
  f.by_class = 10;
  f.in_charge = true;
  return f;
}

int Failed(const SelftestFigures& figures) {
  const std::vector<SelftestCondition> conditions = Judge(figures);
  return static_cast<int>(std::count_if(conditions.begin(), conditions.end(),
                                        [](const SelftestCondition& c) { return !c.holds; }));
}

TEST(SelftestVerdict, HoldsWhereAllIsWell) {
  EXPECT_EQ(Failed(Good()), 0) << SelftestText(Good());
  EXPECT_FALSE(absl::StrContains(SelftestText(Good()), "FAILED"));
}

struct Defect {
  const char* what;  // in the line that says so
  std::function<void(SelftestFigures&)> make;
};

TEST(SelftestVerdict, EachDefectIsSeenAndNamed) {
  const Defect defects[] = {
      {"the measurement can see it", [](auto& f) { f.before.cross_vm = Duration(0); }},
      {"cross-VM time under Corral is 0 ns (it is 7)",
       [](auto& f) { f.corral.cross_vm = Duration(7); }},
      {"for 9 ns", [](auto& f) { f.corral.outside = Duration(9); }},
      {"(there were 99)", [](auto& f) { f.by_agent = 99, f.by_class = 0; }},
      {"(it was 94.9 %)", [](auto& f) { f.by_agent = 949, f.by_class = 51; }},
      {"(1 did not)", [](auto& f) { f.corral.ran[1] = Duration(0); }},
      {"each of the 0 vCPUs", [](auto& f) { f.corral.ran.clear(); }},
      {"(it saw 3)", [](auto& f) { f.breaches = 3; }},
      {"not under Corral", [](auto& f) { f.corral.complete = false; }},
      {"not under the default scheduler", [](auto& f) { f.before.complete = false; }},
      {"stayed in charge", [](auto& f) { f.in_charge = false; }},
      {"a thread is stuck", [](auto& f) { f.left_behind = "a thread is stuck"; }},
  };
  for (const Defect& defect : defects) {
    SelftestFigures figures = Good();
    defect.make(figures);
    EXPECT_EQ(Failed(figures), 1) << defect.what;
    for (const SelftestCondition& condition : Judge(figures)) {
      if (condition.holds) continue;
      EXPECT_TRUE(absl::StrContains(condition.text, defect.what)) << condition.text;
    }
  }
}

TEST(SelftestVerdict, TheTableShowsBothAndFitsATerminal) {
  const std::string text = SelftestText(Good());
  EXPECT_TRUE(absl::StrContains(text, "12000000000 ns"));
  EXPECT_TRUE(absl::StrContains(text, "63.16 %"));
  EXPECT_TRUE(absl::StrContains(text, "75.0 ms"));
  // Of nothing: no division by it.
  EXPECT_TRUE(absl::StrContains(SelftestText({}), "FAILED"));
}

}  // namespace
}  // namespace corral
