// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/spin_place.h"

#include <gtest/gtest.h>

#include <map>

#include "agent/runtime/loop_timing.h"

namespace corral {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

class SpinPlaceTest : public ::testing::Test {
 protected:
  bool Choose(Duration at) {
    return place_.Choose(Time(at), [this](CpuId cpu) { return uses_[cpu.value()]; });
  }
  int cpu() const { return place_.cpu().value(); }

  // Cores of two siblings: 0-1, 2-3 on one node, 4-5, 6-7 on the other.
  Topology topology_ = Topology::FromHwlocSynthetic("numa:2 l3:1 core:2 pu:2").value();
  SpinPlace place_{topology_.cpus(), topology_, milliseconds(800)};
  std::map<int, SpinPlace::Use> uses_;
};

TEST_F(SpinPlaceTest, StaysWhereNobodyWantsIt) {
  EXPECT_EQ(cpu(), -1);
  EXPECT_TRUE(Choose(Duration(0)));
  EXPECT_EQ(cpu(), 0);
  for (int us = 0; us < 700'000; us += 100) EXPECT_FALSE(Choose(microseconds(us)));
  EXPECT_EQ(place_.moves(), 0u);
}

TEST_F(SpinPlaceTest, DisturbsAsLittleAsPossible) {
  for (int i = 0; i < 8; ++i) uses_[i].by_task = true;
  uses_[3].by_task = false;
  uses_[3].beside = true;
  Choose(Duration(0));
  EXPECT_EQ(cpu(), 3) << "an idle CPU before one with a task";
  uses_[3].by_host = true;
  uses_[5].by_task = uses_[6].by_task = false;
  uses_[5].beside = true;
  EXPECT_FALSE(Choose(microseconds(900))) << "it has just come";
  EXPECT_TRUE(Choose(milliseconds(1)));
  EXPECT_EQ(cpu(), 6) << "one with a core for itself";
  uses_[3].by_host = false;
  uses_[6].by_host = true;
  uses_[4].by_task = uses_[0].by_task = false;
  EXPECT_TRUE(Choose(milliseconds(2)));
  EXPECT_EQ(cpu(), 4) << "one that is near";
}

TEST_F(SpinPlaceTest, GoesAtOnceWhenSomebodyWaits) {
  Choose(Duration(0));
  for (int i = 1; i <= 20; ++i) {
    uses_[cpu()].needed = i % 2 == 0;
    uses_[cpu()].by_host = i % 2 == 1;
    const int before = cpu();
    EXPECT_TRUE(Choose(milliseconds(i)));
    EXPECT_FALSE(Choose(milliseconds(i)));
    uses_[before] = {};
  }
  EXPECT_EQ(place_.moves(), 20u);
}

TEST_F(SpinPlaceTest, TakesTurnsWhereAllAreWanted) {
  for (int i = 0; i < 8; ++i) uses_[i].by_host = true;
  std::map<int, Duration> stayed;
  for (int us = 0; us < 560'000; us += 100) {
    Choose(microseconds(us));
    stayed[cpu()] += microseconds(100);
  }
  EXPECT_EQ(place_.moves(), 79u) << "7 ms each";
  for (int i = 0; i < 8; ++i) EXPECT_EQ(stayed[i], milliseconds(70)) << "CPU " << i;
}

TEST_F(SpinPlaceTest, LeavesACpuThatGoes) {
  Choose(Duration(0));
  for (int i = 0; i < 8; ++i) uses_[i].by_host = true;
  uses_[0].online = uses_[1].online = false;
  EXPECT_TRUE(Choose(microseconds(1)));
  EXPECT_EQ(cpu(), 2);
  for (int i = 0; i < 8; ++i) uses_[i].online = false;
  EXPECT_FALSE(Choose(microseconds(2))) << "where to?";
}

TEST_F(SpinPlaceTest, StaysNowhereForLong) {
  for (int ms = 0; ms < 8'000; ++ms) Choose(milliseconds(ms));
  EXPECT_EQ(place_.moves(), 9u);
}

TEST_F(SpinPlaceTest, DoesNotTryAgainSoonWhereItMayNotRun) {
  Choose(Duration(0));
  place_.Refused(Time(Duration(0)));
  for (int ms = 1; ms < 50'000; ++ms) {
    Choose(milliseconds(ms));
    EXPECT_NE(cpu(), 0);
  }
}

}  // namespace
}  // namespace corral
