// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/scan_pace.h"

#include <gtest/gtest.h>

#include <ctime>
#include <thread>

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = ScanPace::Clock;

void Burn(milliseconds time) {
  const auto spent = [] {
    timespec now = {};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  };
  for (const auto end = spent() + time; spent() < end;) continue;
}

TEST(ScanPace, TheFirstScanIsDueAtOnce) { EXPECT_LE(ScanPace().next(), Clock::now()); }

TEST(ScanPace, WhatCostsNothingIsDoneEveryOtherSecond) {
  ScanPace pace;
  const Clock::time_point begin = Clock::now();
  pace.Scan([] { std::this_thread::sleep_for(milliseconds(20)); });
  EXPECT_GE(pace.next(), begin + ScanPace::kMostOften);
  EXPECT_LE(pace.next(), Clock::now() + ScanPace::kMostOften) << "waiting is no cost";
  pace.Hasten();
  EXPECT_LE(pace.next(), begin + milliseconds(300));
}

TEST(ScanPace, WhatCostsMuchIsDoneRarely) {
  ScanPace pace;
  pace.Scan([] { Burn(milliseconds(40)); });
  const Clock::time_point end = Clock::now();
  EXPECT_GE(pace.next(), end + milliseconds(40) * (ScanPace::kShareAtRest - 1));
  EXPECT_LE(pace.next(), end + milliseconds(60) * ScanPace::kShareAtRest);
  // When somebody asks for it, it comes sooner, but not at once again.
  pace.Hasten();
  EXPECT_GE(pace.next(), end + milliseconds(40) * (ScanPace::kShareInHaste - 1));
  EXPECT_LE(pace.next(), end + milliseconds(60) * ScanPace::kShareInHaste);
  const Clock::time_point hastened = pace.next();
  pace.Hasten(seconds(100));
  EXPECT_EQ(pace.next(), hastened) << "it is sooner already";
}

TEST(ScanPace, HasteMayWaitALittle) {
  ScanPace pace;
  pace.Scan([] {});
  const Clock::time_point begin = Clock::now();
  pace.Hasten(milliseconds(500));
  EXPECT_GE(pace.next(), begin + milliseconds(500));
  EXPECT_LE(pace.next(), Clock::now() + milliseconds(500));
}

}  // namespace
}  // namespace corral
