// SPDX-License-Identifier: Apache-2.0
// The auditor's arithmetic against a brute-force timeline: random stints on 1 to 8 siblings, one
// tick at a time.
#include "kernel/audit/account.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>

#include "kernel/audit/report.h"

namespace corral {
namespace {

constexpr uint64_t kBegin = 1000;

audit_slot Slot(audit_kind kind, uint32_t vm = 0, bool enrolled = false) {
  audit_slot slot = {};
  slot.kind = kind;
  slot.vm = vm;
  slot.enrolled = enrolled;
  slot.tid = vm * 100 + kind;
  return slot;
}

audit_slot RandomSlot(std::mt19937& random) {
  switch (random() % 6) {
    case 0:
      return Slot(AUDIT_IDLE);
    case 1:
      return Slot(AUDIT_KTHREAD);
    case 2:
      return Slot(AUDIT_HOST);
    case 3:
      return Slot(AUDIT_HELPER, 1 + random() % 3, random() % 2);
    default:
      return Slot(AUDIT_VCPU, 1 + random() % 3, random() % 2);
  }
}

// The conditions, written down once more in another way: by asking for each whether any two
// siblings are so.
std::array<bool, AUDIT_STATES> Conditions(const std::vector<audit_slot>& slots) {
  std::array<bool, AUDIT_STATES> holds = {};
  for (size_t i = 0; i < slots.size(); ++i) {
    const audit_slot& a = slots[i];
    if (a.vm) holds[AUDIT_BUSY] = true;
    for (size_t j = 0; j < slots.size(); ++j) {
      const audit_slot& b = slots[j];
      if (i == j) continue;
      const bool cross = a.vm && b.vm && a.vm != b.vm;
      const bool vcpus = a.kind == AUDIT_VCPU && b.kind == AUDIT_VCPU;
      holds[AUDIT_VCPU_ENFORCED] |= cross && vcpus && a.enrolled && b.enrolled;
      holds[AUDIT_VCPU_EXPOSED] |= cross && vcpus && !(a.enrolled && b.enrolled);
      holds[AUDIT_VCPU_VCPU] |= cross && vcpus;
      holds[AUDIT_VCPU_HELPER] |= cross && a.kind == AUDIT_VCPU && b.kind == AUDIT_HELPER;
      holds[AUDIT_HELPER_HELPER] |= cross && a.kind == AUDIT_HELPER && b.kind == AUDIT_HELPER;
      holds[AUDIT_CROSS_VM] |= cross;
      holds[AUDIT_BESIDE_HOST] |= a.kind == AUDIT_VCPU && b.kind == AUDIT_HOST;
      holds[AUDIT_FORCED_IDLE] |= a.kind == AUDIT_VCPU && b.kind == AUDIT_IDLE;
      holds[AUDIT_SAME_VM] |= a.vm && a.vm == b.vm;
    }
  }
  return holds;
}

// Counts tick by tick what audit_core counts by intervals.
struct Timeline {
  std::array<uint64_t, AUDIT_STATES> ns = {}, count = {}, longest = {}, current = {};
  std::map<uint64_t, uint64_t> beside_host;  // stretches that are over, by length

  void Tick(const std::array<bool, AUDIT_STATES>& holds) {
    for (size_t i = 0; i < holds.size(); ++i) {
      if (holds[i]) {
        ++ns[i];
        if (current[i]++ == 0) ++count[i];
        longest[i] = std::max(longest[i], current[i]);
      } else {
        if (i == AUDIT_BESIDE_HOST && current[i] > 0) ++beside_host[current[i]];
        current[i] = 0;
      }
    }
  }
  void Restart() { *this = Timeline(); }
};

class AccountTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    core_->siblings = GetParam();
    core_->epoch = core_->last = kBegin;
    slots_.resize(GetParam(), Slot(AUDIT_UNKNOWN));
  }
  void Switch(uint64_t epoch, uint64_t now) {
    const uint32_t sibling = random_() % slots_.size();
    slots_[sibling] = RandomSlot(random_);
    audit_core_switch(core_.get(), sibling, 0, &slots_[sibling], epoch, now, now);
  }
  void ExpectRead(uint64_t epoch, uint64_t now) {
    auto copy = std::make_unique<audit_core>(*core_);
    audit_core_read(copy.get(), epoch, now);
    for (int state = 0; state < AUDIT_STATES; ++state) {
      const audit_span& span = copy->span[state];
      ASSERT_EQ(span.ns, truth_.ns[state]) << "state " << state << " at " << now;
      ASSERT_EQ(span.count, truth_.count[state]) << "state " << state << " at " << now;
      ASSERT_EQ(span.longest_ns, truth_.longest[state]) << "state " << state << " at " << now;
    }
    ExpectLengths(*copy, now);
  }

  void ExpectLengths(const audit_core& core, uint64_t now) {
    std::map<uint64_t, uint64_t> truth = truth_.beside_host;
    if (truth_.current[AUDIT_BESIDE_HOST] > 0) ++truth[truth_.current[AUDIT_BESIDE_HOST]];
    std::array<uint64_t, AUDIT_LENGTHS> counts = {};
    for (const auto& [length, count] : truth) counts[audit_length_bucket(length)] += count;
    for (uint32_t i = 1; i < counts.size(); ++i)
      ASSERT_EQ(audit_length_count(&core, i), counts[i]) << "bucket " << i << " at " << now;
  }

  std::unique_ptr<audit_core> core_ = std::make_unique<audit_core>();
  std::vector<audit_slot> slots_;
  Timeline truth_;
  std::mt19937 random_{static_cast<uint32_t>(GetParam())};
};

TEST_P(AccountTest, AgreesWithTimeline) {
  uint64_t epoch = kBegin;
  uint64_t announced = kBegin;
  for (uint64_t now = kBegin; now < kBegin + 50'000; ++now) {
    // A reset is announced ahead of its time, as Auditor::Reset does.
    if (random_() % 997 == 0 && announced <= now) announced = now + 1 + random_() % 20;
    if (announced == now && epoch != announced) {
      truth_.Restart();
      epoch = announced;
    }
    // Not at the very instant of a reset: whether what ends just then counts as once for 0 ns is of
    // no interest.
    if (random_() % 11 == 0 && announced < now) ExpectRead(announced, now);
    if (random_() % 7 == 0 && announced != now) Switch(announced, now);
    truth_.Tick(Conditions(slots_));
  }
}

INSTANTIATE_TEST_SUITE_P(Siblings, AccountTest, testing::Values(1, 2, 3, 4, 8));

std::unique_ptr<audit_core> TwoSiblings() {
  auto core = std::make_unique<audit_core>();
  core->siblings = 2;
  core->cpu[0] = 4;
  core->cpu[1] = 9;
  return core;
}

TEST(Account, NamesThePairOfTheLongestOverlap) {
  const auto core = TwoSiblings();
  const audit_slot idle = Slot(AUDIT_IDLE), a = Slot(AUDIT_VCPU, 1, true),
                   b = Slot(AUDIT_VCPU, 2, true), c = Slot(AUDIT_VCPU, 3, true);
  audit_core_switch(core.get(), 0, 0, &a, 0, 100, 100);
  audit_core_switch(core.get(), 1, 0, &b, 0, 200, 200);
  audit_core_switch(core.get(), 1, 0, &idle, 0, 250, 250);
  audit_core_switch(core.get(), 1, 0, &c, 0, 300, 300);
  audit_core_switch(core.get(), 1, 0, &idle, 0, 400, 400);
  const audit_span& span = core->span[AUDIT_VCPU_ENFORCED];
  EXPECT_EQ(span.ns, 150u);
  EXPECT_EQ(span.count, 2u);
  EXPECT_EQ(span.longest_ns, 100u);
  EXPECT_EQ(span.longest.time, 300u);
  EXPECT_EQ(span.longest.newcomer.vm, 3u);
  EXPECT_EQ(span.longest.newcomer.cpu, 9u);
  EXPECT_EQ(span.longest.incumbent.vm, 1u);
  EXPECT_EQ(span.longest.incumbent.cpu, 4u);
  EXPECT_EQ(core->switches, 2u);
}

// Whoever schedules may act on a switch before the auditor's probe sees it.
TEST(Account, WhatASwitchEndsWasOverWhenTheKernelLookedForAnother) {
  const auto core = TwoSiblings();
  const audit_slot idle = Slot(AUDIT_IDLE), a = Slot(AUDIT_VCPU, 1, true),
                   b = Slot(AUDIT_VCPU, 2, true);
  const audit_span& span = core->span[AUDIT_VCPU_ENFORCED];
  audit_core_switch(core.get(), 0, 0, &a, 0, 100, 100);
  audit_core_switch(core.get(), 1, 0, &b, 0, 200, 200);
  audit_core_switch(core.get(), 0, 0, &idle, 0, /*left_at=*/190, 300);
  EXPECT_EQ(span.ns, 0u);
  EXPECT_EQ(span.count, 0u);
  EXPECT_EQ(span.longest_ns, 0u);
  audit_core_switch(core.get(), 0, 0, &a, 0, 400, 400);
  audit_core_switch(core.get(), 0, 0, &idle, 0, /*left_at=*/450, 500);
  EXPECT_EQ(span.ns, 50u);
  EXPECT_EQ(span.count, 1u);
  EXPECT_EQ(span.longest_ns, 50u);
  // Another VM's comes instead: there was no moment between.
  const audit_slot c = Slot(AUDIT_VCPU, 3, true);
  audit_core_switch(core.get(), 0, 0, &a, 0, 600, 600);
  audit_core_switch(core.get(), 0, 0, &c, 0, /*left_at=*/610, 620);
  audit_core_switch(core.get(), 1, 0, &idle, 0, /*left_at=*/700, 710);
  EXPECT_EQ(span.ns, 150u);
  EXPECT_EQ(span.count, 2u);
}

// The CPU stands still between the two, while its sibling begins and ends a stint, and another one.
TEST(Account, WhatWasCountedBetweenTheLookAndTheProbeIsTakenBack) {
  const auto core = TwoSiblings();
  const audit_slot idle = Slot(AUDIT_IDLE), a = Slot(AUDIT_VCPU, 1, true),
                   b = Slot(AUDIT_VCPU, 2, true);
  const audit_span& span = core->span[AUDIT_VCPU_ENFORCED];
  // A real one first.
  audit_core_switch(core.get(), 0, 0, &a, 0, 100, 100);
  audit_core_switch(core.get(), 1, 0, &b, 0, 110, 110);
  audit_core_switch(core.get(), 1, 0, &idle, 0, 120, 120);
  core->look[0] = 150;
  for (uint64_t at = 200; at < 300; at += 50) {
    audit_core_switch(core.get(), 1, 0, &b, 0, at, at);
    audit_core_switch(core.get(), 1, 0, &idle, 0, at + 30, at + 30);
  }
  EXPECT_EQ(span.ns, 70u) << "nobody can know yet";
  audit_core_switch(core.get(), 0, 0, &idle, 0, /*left_at=*/150, 400);
  EXPECT_EQ(span.ns, 10u);
  EXPECT_EQ(span.count, 1u);
  EXPECT_EQ(span.longest_ns, 10u);
  EXPECT_EQ(span.longest.time, 110u);
  EXPECT_EQ(core->span[AUDIT_VCPU_VCPU].ns, 10u);
}

// Whoever reads in between can tell that the last word has not been spoken.
TEST(Account, IsUnsettledWhileASiblingIsBetweenTwoTasks) {
  const auto core = TwoSiblings();
  const audit_slot idle = Slot(AUDIT_IDLE), a = Slot(AUDIT_VCPU, 1, true),
                   b = Slot(AUDIT_VCPU, 2, true);
  const auto unsettled = [&] { return audit_core_unsettled(core.get(), AUDIT_VCPU_ENFORCED) != 0; };
  audit_core_switch(core.get(), 0, 0, &a, 0, 100, 100);
  core->look[0] = 150;
  EXPECT_FALSE(unsettled()) << "nothing is counted against anybody";
  audit_core_switch(core.get(), 1, 0, &b, 0, 200, 200);
  EXPECT_TRUE(unsettled()) << "it goes on";
  audit_core_switch(core.get(), 1, 0, &idle, 0, 230, 230);
  EXPECT_TRUE(unsettled()) << "it is over, and may be taken back";
  EXPECT_EQ(core->look[0], 150u) << "a sibling's switch is not ours";
  audit_core_switch(core.get(), 0, 0, &idle, 0, /*left_at=*/150, 400);
  EXPECT_FALSE(unsettled());
  EXPECT_EQ(core->look[0], 0u);
  EXPECT_EQ(core->span[AUDIT_VCPU_ENFORCED].ns, 0u);
  // An overlap that nobody is about to end is what it is.
  audit_core_switch(core.get(), 0, 0, &a, 0, 500, 500);
  audit_core_switch(core.get(), 1, 0, &b, 0, 510, 510);
  EXPECT_FALSE(unsettled());
}

// It looked, found nothing better than what ran there, and let that go on.
TEST(Account, ALookThatLedToNoSwitchTakesNothingBack) {
  const auto core = TwoSiblings();
  const audit_slot idle = Slot(AUDIT_IDLE), a = Slot(AUDIT_VCPU, 1, true),
                   b = Slot(AUDIT_VCPU, 2, true);
  const audit_span& span = core->span[AUDIT_VCPU_ENFORCED];
  audit_core_switch(core.get(), 0, 0, &a, 0, 100, 100);
  core->look[0] = 150;
  audit_core_switch(core.get(), 1, 0, &b, 0, 200, 200);
  audit_core_switch(core.get(), 1, 0, &idle, 0, 230, 230);
  core->look[0] = 300;
  audit_core_switch(core.get(), 0, 0, &idle, 0, /*left_at=*/300, 400);
  EXPECT_EQ(span.ns, 30u);
  EXPECT_EQ(span.count, 1u);
  EXPECT_EQ(span.longest_ns, 30u);
}

// An overlap that began before the look was one until then.
TEST(Account, OnlyWhatLiesAfterTheLookIsTakenBack) {
  const auto core = TwoSiblings();
  const audit_slot idle = Slot(AUDIT_IDLE), a = Slot(AUDIT_VCPU, 1, true),
                   b = Slot(AUDIT_VCPU, 2, true);
  const audit_span& span = core->span[AUDIT_VCPU_ENFORCED];
  audit_core_switch(core.get(), 0, 0, &a, 0, 100, 100);
  audit_core_switch(core.get(), 1, 0, &b, 0, 110, 110);
  core->look[0] = 150;
  audit_core_switch(core.get(), 1, 0, &idle, 0, 170, 170);
  audit_core_switch(core.get(), 0, 0, &idle, 0, /*left_at=*/150, 400);
  EXPECT_EQ(span.ns, 40u);
  EXPECT_EQ(span.count, 1u);
  EXPECT_EQ(span.longest_ns, 40u);
  EXPECT_EQ(span.longest.time, 110u);
}

TEST(Account, NamesThePairAmongManySiblings) {
  const auto core = std::make_unique<audit_core>();
  core->siblings = 8;
  for (uint32_t i = 0; i < 8; ++i) core->cpu[i] = i;
  const audit_slot helper = Slot(AUDIT_HELPER, 3), a = Slot(AUDIT_VCPU, 1), b = Slot(AUDIT_VCPU, 2),
                   idle = Slot(AUDIT_IDLE);
  audit_core_switch(core.get(), 6, 0, &helper, 0, 100, 100);
  audit_core_switch(core.get(), 7, 0, &a, 0, 150, 150);
  audit_core_switch(core.get(), 2, 0, &b, 0, 200, 200);
  audit_core_switch(core.get(), 7, 0, &idle, 0, 250, 250);
  audit_core_switch(core.get(), 2, 0, &idle, 0, 250, 250);
  EXPECT_EQ(core->span[AUDIT_VCPU_EXPOSED].longest.newcomer.cpu, 2u);
  EXPECT_EQ(core->span[AUDIT_VCPU_EXPOSED].longest.incumbent.cpu, 7u);
  EXPECT_EQ(core->span[AUDIT_VCPU_HELPER].longest.newcomer.cpu, 7u);
  EXPECT_EQ(core->span[AUDIT_VCPU_HELPER].longest.incumbent.cpu, 6u);
  EXPECT_EQ(core->span[AUDIT_BUSY].longest_ns, 0u);  // goes on
}

TEST(Account, AnOvertakenEventIsClampedAndCounted) {
  const auto core = TwoSiblings();
  const audit_slot a = Slot(AUDIT_VCPU, 1), b = Slot(AUDIT_VCPU, 2), idle = Slot(AUDIT_IDLE);
  audit_core_switch(core.get(), 0, 0, &a, 0, 105, 105);
  audit_core_switch(core.get(), 1, 0, &b, 0, 100, 100);
  audit_core_switch(core.get(), 1, 0, &idle, 0, 205, 205);
  EXPECT_EQ(core->negative, 1u);
  EXPECT_EQ(core->negative_ns, 5u);
  EXPECT_EQ(core->span[AUDIT_VCPU_VCPU].ns, 100u);
}

TEST(Account, ASwitchFromAnotherTaskThanTheLastOneIsCounted) {
  const auto core = TwoSiblings();
  audit_slot a = Slot(AUDIT_VCPU, 1), b = Slot(AUDIT_HOST);
  a.task = 0xa;
  b.task = 0xb;
  audit_core_switch(core.get(), 0, /*left=*/0xc, &a, 0, 100,
                    100);  // the first one: nothing was known
  audit_core_switch(core.get(), 0, /*left=*/0xa, &b, 0, 200, 200);
  EXPECT_EQ(core->missed, 0u);
  audit_core_switch(core.get(), 0, /*left=*/0xa, &b, 0, 300, 300);
  EXPECT_EQ(core->missed, 1u);
}

TEST(Account, BucketsOfLengthsAreInOrderAndAQuarterWide) {
  uint32_t last = 0;
  for (uint64_t ns = 0; ns < 7'000'000'000; ns += 1 + ns / 100) {
    const uint32_t bucket = audit_length_bucket(ns);
    EXPECT_GE(bucket, last);
    EXPECT_LE(ns, audit_length_bound(bucket));
    EXPECT_LE(audit_length_bound(bucket), ns + ns / 4) << ns;
    EXPECT_EQ(audit_length_bucket(audit_length_bound(bucket)), bucket);
    last = bucket;
  }
  EXPECT_LT(audit_length_bucket(~0ULL), AUDIT_LENGTHS);
}

TEST(Account, PercentilesOfLengthsAreAtMostAQuarterTooLong) {
  AuditCore core;
  EXPECT_EQ(core.BesideHostPercentile(0.5).count(), 0);
  for (uint64_t us = 1; us <= 100; ++us) ++core.beside_host[audit_length_bucket(us * 1000)];
  core.spans[AUDIT_BESIDE_HOST].longest = std::chrono::microseconds(100);
  const int64_t p50 = core.BesideHostPercentile(0.5).count();
  EXPECT_GE(p50, 50'000);
  EXPECT_LE(p50, 62'500);
  EXPECT_GE(core.BesideHostPercentile(0.99).count(), 99'000);
  EXPECT_EQ(core.BesideHostPercentile(1).count(), 100'000) << "no more than the longest one";
}

TEST(Account, ThreadSplitsExposureAtEnrolment) {
  audit_thread thread = {};
  const audit_slot plain = Slot(AUDIT_VCPU, 1, false), enrolled = Slot(AUDIT_VCPU, 1, true);
  audit_thread_enter(&thread, &plain, 0, 0, 100);
  audit_thread_leave(&thread, 0, 110);
  audit_thread_enter(&thread, &enrolled, 0, 0, 200);
  audit_thread_leave(&thread, 0, 250);
  audit_thread_enter(&thread, &plain, 0, 0, 300);
  audit_thread_leave(&thread, 0, 307);
  EXPECT_EQ(thread.run_ns, 67u);
  EXPECT_EQ(thread.stints, 3u);
  EXPECT_EQ(thread.first_enrolled, 200u);
  EXPECT_EQ(thread.early_ns, 10u);
  EXPECT_EQ(thread.exposure_ns, 17u);
}

TEST(Account, ThreadRunningAtResetCountsFromThen) {
  audit_thread thread = {};
  const audit_slot slot = Slot(AUDIT_VCPU, 1);
  audit_thread_enter(&thread, &slot, 0, 0, 100);
  audit_thread_leave(&thread, /*epoch=*/150, 180);
  EXPECT_EQ(thread.run_ns, 30u);
  EXPECT_EQ(thread.stints, 1u);
}

}  // namespace
}  // namespace corral
