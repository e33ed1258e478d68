// SPDX-License-Identifier: Apache-2.0
// What secure_vm promises: how much core time a gang needs, what fits on a core, and how close
// admission comes to a packer that tries everything.
#include "policies/secure_vm/admission.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <random>

#include "policies/secure_vm/gang_server.h"
#include "policies/secure_vm/placement.h"

namespace corral::secure_vm {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr DomainId kA(2);
constexpr DomainId kB(3);

TEST(GangTime, IsTheLargestBudgetWhileThereIsASiblingForEach) {
  EXPECT_EQ(GangTime({milliseconds(3)}, 2, nullptr), milliseconds(3));
  EXPECT_EQ(GangTime({milliseconds(3), milliseconds(5)}, 2, nullptr), milliseconds(5));
  EXPECT_EQ(GangTime({milliseconds(3), milliseconds(5)}, 1, nullptr), milliseconds(8));
}

TEST(GangTime, DealsOutTheLongestFirst) {
  std::vector<int> home;
  EXPECT_EQ(
      GangTime({milliseconds(2), milliseconds(5), milliseconds(3), milliseconds(4)}, 2, &home),
      milliseconds(7));
  EXPECT_EQ(home, (std::vector<int>{0, 0, 1, 1}));
}

CoreAdmission Core() {
  return CoreAdmission(
      2, {.min_tenure = milliseconds(1), .hand_over = microseconds(50), .reserve_percent = 5});
}

TEST(Admission, SiblingsOfADomainCostNothingMore) {
  CoreAdmission core = Core();
  core.Add(kA, milliseconds(50), milliseconds(100));
  EXPECT_FALSE(core.Fits(kB, milliseconds(50), milliseconds(100)));
  EXPECT_TRUE(core.Fits(kA, milliseconds(50), milliseconds(100)));
  EXPECT_FALSE(core.Fits(kA, milliseconds(50), milliseconds(90))) << "another period runs apart";
}

TEST(Admission, ChargesHandOversTheReserveAndAMinimumTenure) {
  const CoreAdmission core = Core();
  // 95 ms less two hand-overs, and less the tenure and the hand-over that may have to be waited
  // for.
  EXPECT_NEAR(static_cast<double>(core.Room(kA, milliseconds(100)).count()),
              static_cast<double>(Duration(microseconds(95'000 - 100 - 1'050)).count()), 1000);
  EXPECT_EQ(core.Room(kA, milliseconds(1)), Duration(0)) << "shorter than the tenure";
}

TEST(Admission, LongPeriodsDoNotCountAgainstShortOnes) {
  CoreAdmission core = Core();
  core.Add(kA, milliseconds(40), milliseconds(100));
  // In 10 ms: 1.05 ms of another's tenure, 0.1 ms of hand-overs, 0.5 ms of reserve.
  EXPECT_TRUE(core.Fits(kB, milliseconds(5), milliseconds(10)));
  EXPECT_FALSE(core.Fits(kB, milliseconds(6), milliseconds(10)));
}

TEST(Admission, RemoveTakesBackAdd) {
  CoreAdmission core = Core();
  core.Add(kA, milliseconds(50), milliseconds(100));
  core.Add(kA, milliseconds(20), milliseconds(100));
  core.Remove(kA, milliseconds(50), milliseconds(100));
  EXPECT_NEAR(core.utilization(), 0.201, 1e-9);
  core.Remove(kA, milliseconds(20), milliseconds(100));
  EXPECT_EQ(core.utilization(), 0);
}

// ---- against a packer that tries everything ----

struct Set {
  int cores = 1;
  std::vector<PlacementRequest> vcpus;
};

Set RandomSet(std::mt19937& random) {
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  Set set = {.cores = pick(1, 8), .vcpus = {}};
  constexpr int kPeriods[] = {20, 50, 100};
  // Promises to about the whole machine, in up to as many gangs as a search can deal with.
  const double load = 0.5 + 0.05 * pick(0, 8);
  double share = 0;
  for (uint32_t domain = 2; domain < 11 && share < load * set.cores; ++domain) {
    const int period = kPeriods[pick(0, 2)];
    const int percent = pick(10, 70);
    for (int n = pick(1, 2); n > 0; --n) {
      set.vcpus.push_back({.domain = DomainId(domain),
                           .budget = Duration(milliseconds(period)) * percent / 100,
                           .period = milliseconds(period)});
    }
    share += percent / 100.0;
  }
  return set;
}

// Whether there is any way to deal the vCPUs out to cores that admits them all.
bool Packs(const Set& set) {
  std::vector<CoreAdmission> cores(set.cores, CoreAdmission(2, {}));
  std::vector<int> used(set.cores, 0);
  const std::function<bool(size_t)> place = [&](size_t i) {
    if (i == set.vcpus.size()) return true;
    const PlacementRequest& v = set.vcpus[i];
    for (int c = 0; c < set.cores; ++c) {
      const bool first_empty = used[c] == 0;
      if (cores[c].Fits(v.domain, v.budget, v.period)) {
        cores[c].Add(v.domain, v.budget, v.period);
        ++used[c];
        const bool done = place(i + 1);
        --used[c];
        cores[c].Remove(v.domain, v.budget, v.period);
        if (done) return true;
      }
      if (first_empty) return false;  // the other empty ones are alike
    }
    return false;
  };
  return place(0);
}

// One vCPU after the other, as they come.
bool Admits(const Set& set) {
  const Topology topology =
      Topology::FromHwlocSynthetic("numa:1 core:" + std::to_string(set.cores) + " pu:2").value();
  Placement placement(topology, {});
  std::map<uint32_t, std::pair<PlacementRequest, int>> placed;
  for (PlacementRequest vcpu : set.vcpus) {
    vcpu.slot = static_cast<uint32_t>(placed.size());
    const int core = placement.Choose(vcpu);
    CorePromise promise = placement.Judge(vcpu, core);
    if (promise.granted == Duration(0)) {
      const std::vector<TaskMove> moves = placement.MakeRoom(vcpu);
      for (const TaskMove& m : moves) placement.Remove(placed[m.slot].first, placed[m.slot].second);
      for (const TaskMove& m : moves) {
        const PlacementRequest& moved = placed[m.slot].first;
        EXPECT_TRUE(placement.admission(m.core).Fits(moved.domain, moved.budget, moved.period));
        placement.Add(moved, m.core);
        placed[m.slot].second = m.core;
      }
      promise = placement.Judge(vcpu, core);
    }
    if (promise.granted == Duration(0)) return false;
    vcpu.granted = promise.granted;
    placement.Add(vcpu, promise.core);
    placed[vcpu.slot] = {vcpu, promise.core};
  }
  return true;
}

TEST(Admission, ComesCloseToTryingEverything) {
  std::mt19937 random(1);
  int feasible = 0;
  int admitted = 0;
  while (feasible < 500) {
    const Set set = RandomSet(random);
    const bool admits = Admits(set);
    if (!admits && !Packs(set)) continue;
    ++feasible;
    admitted += admits;
  }
  printf("admitted %d of %d sets that can be packed\n", admitted, feasible);
  EXPECT_GE(admitted * 100, feasible * 95);
}

}  // namespace
}  // namespace corral::secure_vm
