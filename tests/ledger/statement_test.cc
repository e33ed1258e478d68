// SPDX-License-Identifier: Apache-2.0
// What is said to a tenant, and when it proves something.
#include "agent/ledger/statement.h"

#include <gtest/gtest.h>

namespace corral::ledger {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

const absl::Time kBegin = absl::FromUnixSeconds(1'800'000'000);

std::vector<Entry> Hour() {
  std::vector<Entry> entries;
  for (int i = 0; i < 6; ++i) {
    entries.push_back({.number = static_cast<uint64_t>(i + 1),
                       .stretch = {.begin = kBegin + absl::Minutes(10 * i),
                                   .end = kBegin + absl::Minutes(10 * (i + 1)),
                                   .in_charge = minutes(10) - seconds(1),
                                   .watched = minutes(10),
                                   .tenants = {"alpha"}},
                       .hash = std::to_string(i)});
  }
  return entries;
}

Statement OfAlpha(const std::vector<Entry>& entries) {
  return State(entries, "alpha", kBegin, kBegin + absl::Hours(1));
}

TEST(StatementTest, SumsUpWhatNamesTheTenant) {
  std::vector<Entry> entries = Hour();
  entries[1].stretch.tenants = {"bravo"};
  entries[1].stretch.shared = seconds(7);
  entries[2].stretch.exposed = seconds(1);
  const Statement alpha = OfAlpha(entries);
  EXPECT_EQ(alpha.covered, minutes(50));
  EXPECT_EQ(alpha.in_charge, minutes(50) - seconds(5));
  EXPECT_EQ(alpha.watched, minutes(50));
  EXPECT_EQ(alpha.shared, Duration(0)) << "it was not there then";
  EXPECT_EQ(alpha.exposed, seconds(1));
  EXPECT_EQ(alpha.entries, 6u);
  EXPECT_EQ(alpha.head, "5");
  EXPECT_TRUE(alpha.Proves());
  const Statement all = State(entries, "", kBegin, kBegin + absl::Hours(1));
  EXPECT_EQ(all.covered, minutes(60));
  EXPECT_EQ(all.shared, seconds(7));
}

TEST(StatementTest, OnlyWholeEntriesCount) {
  const Statement half =
      State(Hour(), "alpha", kBegin + absl::Minutes(5), kBegin + absl::Minutes(35));
  EXPECT_EQ(half.covered, minutes(20));
  EXPECT_EQ(half.entries, 2u);
}

TEST(StatementTest, WithoutSomebodyWhoLooksNothingIsProven) {
  EXPECT_FALSE(OfAlpha({}).Proves());
  EXPECT_FALSE(State(Hour(), "charlie", kBegin, kBegin + absl::Hours(1)).Proves());
  std::vector<Entry> entries = Hour();
  entries[3].stretch.watched = Duration(0);
  EXPECT_FALSE(OfAlpha(entries).Proves());
  entries = Hour();
  entries[3].stretch.in_charge = minutes(9);
  EXPECT_FALSE(OfAlpha(entries).Proves());
  entries = Hour();
  entries[3].stretch.complete = false;
  EXPECT_FALSE(OfAlpha(entries).Proves());
  entries = Hour();
  entries[3].stretch.bypassed = 1;
  EXPECT_FALSE(OfAlpha(entries).Proves());
}

}  // namespace
}  // namespace corral::ledger
