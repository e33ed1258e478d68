// SPDX-License-Identifier: Apache-2.0
// What secure_vm promises on one core: how much of its time a gang needs, what fits, and what a
// gang still has when its members change.
#include "policies/secure_vm/admission.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "policies/secure_vm/gang_server.h"

namespace corral::secure_vm {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr DomainId kA(2);
constexpr DomainId kB(3);

TEST(GangTime, IsTheLargestBudgetWhileThereIsASiblingForEach) {
  EXPECT_EQ(GangTime({{milliseconds(3)}}, 2, nullptr), milliseconds(3));
  EXPECT_EQ(GangTime({{milliseconds(3)}, {milliseconds(5)}}, 2, nullptr), milliseconds(5));
  EXPECT_EQ(GangTime({{milliseconds(3)}, {milliseconds(5)}}, 1, nullptr), milliseconds(8));
}

TEST(GangTime, DealsOutTheLongestFirst) {
  std::vector<int> home;
  EXPECT_EQ(GangTime({{milliseconds(2)}, {milliseconds(5)}, {milliseconds(3)}, {milliseconds(4)}},
                     2, &home),
            milliseconds(7));
  EXPECT_EQ(home, (std::vector<int>{0, 0, 1, 1}));
}

TEST(GangTime, KeepsToTheSiblingsThatEachMayUse) {
  constexpr Siblings kFirst = 1, kSecond = 2;
  std::vector<int> home;
  EXPECT_EQ(GangTime({{milliseconds(3), kSecond}, {milliseconds(5), kSecond}}, 2, &home),
            milliseconds(8));
  EXPECT_EQ(home, (std::vector<int>{1, 1}));
  // Who has a choice makes way, however long it takes.
  EXPECT_EQ(GangTime({{milliseconds(5)}, {milliseconds(3), kFirst}}, 2, &home), milliseconds(5));
  EXPECT_EQ(home, (std::vector<int>{1, 0}));
  // Those with the least choice come first, and one of them has a better place in the end.
  EXPECT_EQ(GangTime({{milliseconds(4), kFirst | kSecond},
                      {milliseconds(3), kFirst | kSecond | 4},
                      {milliseconds(3), kSecond | 4}},
                     3, nullptr),
            milliseconds(4));
}

TEST(GangTime, IsTheSameInWhateverOrder) {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::vector<Promised> vcpus(2 + random() % 6);
    for (Promised& vcpu : vcpus)
      vcpu = {milliseconds(1 + random() % 4), static_cast<Siblings>(1 + random() % 15)};
    const Duration time = GangTime(vcpus, 4, nullptr);
    std::shuffle(vcpus.begin(), vcpus.end(), random);
    ASSERT_EQ(GangTime(vcpus, 4, nullptr), time);
  }
}

TEST(Siblings, AsManyRunAtOnceAsHaveOneEach) {
  EXPECT_EQ(AtOnce({}, 2), 0);
  EXPECT_EQ(AtOnce({kAnySibling, kAnySibling, kAnySibling}, 2), 2);
  EXPECT_EQ(AtOnce({1, 1}, 2), 1);
  EXPECT_EQ(AtOnce({3, 1}, 2), 2) << "the first can have the other one";
  EXPECT_EQ(AtOnce({3, 6, 1}, 3), 3);
  EXPECT_EQ(AtOnce({4, 4, 8, 12}, 4), 2);
  EXPECT_EQ(AtOnce({0, 1}, 2), 1);
}

constexpr GangTerms kOneSibling = {
    .nr_siblings = 1, .hand_over = microseconds(50), .reserve_percent = 5};
constexpr GangTerms kTwoSiblings = {
    .nr_siblings = 2, .hand_over = microseconds(50), .reserve_percent = 5};

Time At(Duration time) { return Time(time); }

struct Member {
  Task task{.period = milliseconds(100), .granted = milliseconds(60)};
  Vcpu vcpu{.task = &task, .siblings = 1};
};

TEST(GangServer, TheRoomOfOneThatLeavesIsFreeWhenItsShareOfTheTimeHasPassed) {
  for (const auto& [had, free] : {std::pair(60, 100), {30, 50}, {0, 20}}) {
    GangServer server(kOneSibling);
    Member member;
    server.Join(member.vcpu, At(Duration(0)), Time());
    member.vcpu.left -= milliseconds(had);
    EXPECT_EQ(server.Leave(member.vcpu, At(milliseconds(20))), At(milliseconds(free))) << had;
    EXPECT_EQ(member.vcpu.server, nullptr);
  }
}

TEST(GangServer, APromiseThatBeginsLaterIsAPartOfThePeriodInWhichItDoes) {
  GangServer server(kOneSibling);
  Member member;
  server.Join(member.vcpu, At(milliseconds(20)), At(milliseconds(150)));
  EXPECT_EQ(member.vcpu.left, Duration(0));
  server.Renew(At(milliseconds(100)));
  EXPECT_EQ(member.vcpu.left, milliseconds(30));
  server.Renew(At(milliseconds(200)));
  EXPECT_EQ(member.vcpu.left, milliseconds(60));
}

// What the gang had already, it has not again because others come or its siblings are other ones.
TEST(GangServer, ChangesWithinAPeriodGiveNothingBack) {
  GangServer server(kTwoSiblings);
  Member one, other;
  for (Member* m : {&one, &other}) {
    m->vcpu.siblings = 3;
    server.Join(m->vcpu, At(Duration(0)), Time());
  }
  EXPECT_EQ(server.left(), milliseconds(60) + microseconds(100));
  server.Charge(milliseconds(50), Duration(0));
  for (Member* m : {&one, &other}) m->vcpu.left -= milliseconds(50);
  one.vcpu.siblings = other.vcpu.siblings = 1;
  server.DealAgain();
  EXPECT_LE(server.left(), milliseconds(10) + microseconds(100));
  server.Renew(At(milliseconds(100)));
  EXPECT_EQ(server.left(), milliseconds(120) + microseconds(150)) << "one after the other";
  server.Leave(other.vcpu, At(milliseconds(100)));
  EXPECT_EQ(server.left(), milliseconds(60) + microseconds(100));
}

// What one sibling loses while the others go on, the gang has again, until that is a twentieth of
// the core in proportion; in each period anew.
TEST(GangServer, IsNotChargedForWhatASiblingLosesUpToTheReserve) {
  GangServer server(kTwoSiblings);
  Member one, other;
  for (Member* m : {&one, &other}) {
    m->vcpu.siblings = 3;
    server.Join(m->vcpu, At(Duration(0)), Time());
  }
  const Duration all = milliseconds(60) + microseconds(100);
  const Duration reserve = all * 5 / 95;
  EXPECT_EQ(server.Charge(milliseconds(20), milliseconds(1)), milliseconds(20));
  EXPECT_EQ(server.left(), all - milliseconds(19));
  EXPECT_EQ(server.Charge(milliseconds(20), milliseconds(15)), milliseconds(20));
  EXPECT_EQ(server.left(), all - milliseconds(40) + reserve);
  const Duration rest = server.left();
  EXPECT_EQ(server.Charge(milliseconds(40), milliseconds(10)), rest);
  EXPECT_EQ(server.left(), Duration(0)) << "the rest is lost";
  EXPECT_EQ(server.Charge(milliseconds(1), milliseconds(1)), Duration(0));
  server.Renew(At(milliseconds(100)));
  EXPECT_EQ(server.left(), all);
  EXPECT_EQ(server.Charge(all, milliseconds(50)), all);
  EXPECT_EQ(server.left(), reserve);
}

TEST(GangServer, HasAPartOfTheReserveForAPartOfAPeriod) {
  for (const bool joins : {true, false}) {
    GangServer server(kOneSibling);
    Member member;
    server.Join(member.vcpu, At(milliseconds(joins ? 75 : 0)), Time());
    if (!joins) server.Wake(member.vcpu, At(milliseconds(75)), At(milliseconds(75)));
    const Duration all = milliseconds(60) + microseconds(100);
    const Duration part = all * 5 / 95 / 4;
    const Duration left = server.left();
    server.Charge(left, left);
    EXPECT_NEAR(static_cast<double>(server.left().count()), static_cast<double>(part.count()), 2);
  }
}

CoreAdmission Core() {
  return CoreAdmission(
      2, {.min_tenure = milliseconds(1), .hand_over = microseconds(50), .reserve_percent = 5});
}

TEST(Admission, SiblingsOfADomainCostNothingMore) {
  CoreAdmission core = Core();
  core.Add({kA, milliseconds(50), milliseconds(100)});
  EXPECT_FALSE(core.Fits({kB, milliseconds(50), milliseconds(100)}));
  EXPECT_TRUE(core.Fits({kA, milliseconds(50), milliseconds(100)}));
  EXPECT_FALSE(core.Fits({kA, milliseconds(50), milliseconds(90)})) << "another period runs apart";
}

TEST(Admission, ChargesHandOversTheReserveAndAMinimumTenure) {
  const CoreAdmission core = Core();
  // 95 ms less two hand-overs, and less the tenure and the hand-over that may have to be waited
  // for.
  EXPECT_NEAR(static_cast<double>(core.Room({.domain = kA, .period = milliseconds(100)}).count()),
              static_cast<double>(Duration(microseconds(95'000 - 100 - 1'050)).count()), 1000);
  EXPECT_EQ(core.Room({.domain = kA, .period = milliseconds(1)}), Duration(0))
      << "shorter than the tenure";
}

TEST(Admission, LongPeriodsDoNotCountAgainstShortOnes) {
  CoreAdmission core = Core();
  core.Add({kA, milliseconds(40), milliseconds(100)});
  // In 10 ms: 1.05 ms of another's tenure, 0.1 ms of hand-overs, 0.5 ms of reserve.
  EXPECT_TRUE(core.Fits({kB, milliseconds(5), milliseconds(10)}));
  EXPECT_FALSE(core.Fits({kB, milliseconds(6), milliseconds(10)}));
}

TEST(Admission, RemoveTakesBackAdd) {
  CoreAdmission core = Core();
  core.Add({kA, milliseconds(50), milliseconds(100)});
  core.Add({kA, milliseconds(20), milliseconds(100)});
  core.Remove({kA, milliseconds(50), milliseconds(100)});
  EXPECT_NEAR(core.utilization(), 0.201, 1e-9);
  core.Remove({kA, milliseconds(20), milliseconds(100)});
  EXPECT_EQ(core.utilization(), 0);
}

}  // namespace
}  // namespace corral::secure_vm
