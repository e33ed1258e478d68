// SPDX-License-Identifier: Apache-2.0
// Where vCPUs should live, when there is room and when there is none.
#include "policies/secure_vm/spreading.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

namespace corral::secure_vm {
namespace {

struct Home {
  DomainId domain;
  int core;
  bool stays = false;
  CpuSet cpus = CpuSet::All();
};

bool AllOpen(int) { return true; }

// Moves until there is nothing to move; the slots are the positions in `homes`.
size_t Settle(const Topology& topology, std::vector<Home>& homes,
              PerCorePolicy::Open open = AllOpen) {
  size_t rounds = 0;
  for (; rounds < 1000; ++rounds) {
    Spreading spreading(topology, open);
    std::vector<PlacementRequest> vcpus;
    for (const Home& home : homes) {
      vcpus.push_back(
          {.domain = home.domain, .slot = static_cast<uint32_t>(vcpus.size()), .cpus = home.cpus});
    }
    for (const PlacementRequest& vcpu : vcpus)
      spreading.Add(vcpu, homes[vcpu.slot].core, homes[vcpu.slot].stays);
    const std::vector<TaskMove> moves = spreading.Moves(4, [](int) { return false; });
    if (moves.empty()) return rounds;
    for (const TaskMove& move : moves) homes[move.slot].core = move.core;
  }
  return rounds;
}

std::vector<int> CoresOf(const std::vector<Home>& homes) {
  std::vector<int> cores;
  for (const Home& home : homes) cores.push_back(home.core);
  return cores;
}

constexpr DomainId kA(2), kB(3), kC(4);
const Topology& TwoCores() {
  static const Topology topology = Topology::FromHwlocSynthetic("numa:1 core:2 pu:2").value();
  return topology;
}

TEST(Spreading, ADomainAloneHasACoreForEachVcpu) {
  std::vector<Home> homes = {{kA, 0}, {kA, 0}};
  Settle(TwoCores(), homes);
  EXPECT_NE(homes[0].core, homes[1].core);
}

TEST(Spreading, WhenAnotherComesEachHasItsOwnCore) {
  std::vector<Home> homes = {{kA, 0}, {kA, 1}, {kB, 1}, {kB, 1}};
  Settle(TwoCores(), homes);
  EXPECT_EQ(CoresOf(homes), (std::vector<int>{0, 0, 1, 1}));
}

TEST(Spreading, DomainsAreSharedOut) {
  std::vector<Home> homes = {{kA, 0}, {kB, 0}, {kC, 0}};
  Settle(TwoCores(), homes);
  EXPECT_NE(std::set<int>({homes[0].core, homes[1].core, homes[2].core}).size(), 1u);
}

TEST(Spreading, PromisedOnesStay) {
  std::vector<Home> homes = {{kA, 0, true}, {kA, 0, true}, {kB, 0, true}};
  EXPECT_EQ(Settle(TwoCores(), homes), 0u);
}

TEST(Spreading, NobodyMovesToACoreThatIsNotOpen) {
  std::vector<Home> homes = {{kA, 0}, {kA, 0}};
  Settle(TwoCores(), homes, [](int core) { return core == 0; });
  EXPECT_EQ(CoresOf(homes), (std::vector<int>{0, 0}));
}

TEST(Spreading, AffinityIsKept) {
  std::vector<Home> homes = {{kA, 0, false, CpuSet{0, 1}}, {kA, 0, false, CpuSet{0, 1}}};
  EXPECT_EQ(Settle(TwoCores(), homes), 0u);
}

TEST(Spreading, WhoMayMoveMakesRoomForWhoMayNot) {
  std::vector<Home> homes = {{kA, 0}, {kA, 0, false, CpuSet{1}}};
  Settle(TwoCores(), homes);
  EXPECT_EQ(CoresOf(homes), (std::vector<int>{1, 0}));
  homes = {{kA, 0, false, CpuSet{0}}, {kB, 0}, {kC, 0, false, CpuSet{1}}};
  Settle(TwoCores(), homes);
  EXPECT_EQ(CoresOf(homes), (std::vector<int>{0, 1, 0}));
}

TEST(Spreading, GangsJoinOnlyWhereThereIsASiblingForEach) {
  std::vector<Home> homes = {
      {kA, 0, false, CpuSet{0, 2}}, {kA, 1, false, CpuSet{2}}, {kB, 0}, {kC, 1}};
  Settle(TwoCores(), homes);
  EXPECT_EQ(homes[0].core, 0) << "both would have the same sibling";
}

// An empty core that nobody may use is not in the way of one that somebody may.
TEST(Spreading, TheNextBestCoreIsTakenWhereTheEmptiestIsClosed) {
  const Topology topology = Topology::FromHwlocSynthetic("numa:1 core:3 pu:2").value();
  std::vector<Home> homes = {{kA, 0}, {kB, 0}, {kC, 0}};
  Settle(topology, homes, [](int core) { return core != 1; });
  EXPECT_EQ(std::count_if(homes.begin(), homes.end(), [](const Home& h) { return h.core == 2; }),
            1);
}

TEST(Spreading, NobodyLeavesItsNode) {
  const Topology topology = Topology::FromHwlocSynthetic("numa:2 core:1 pu:2").value();
  std::vector<Home> homes = {{kA, 0}, {kA, 0}, {kB, 0}};
  EXPECT_EQ(Settle(topology, homes), 0u);
}

size_t NrGangs(const std::vector<Home>& homes) {
  std::set<std::pair<DomainId, int>> gangs;
  for (const Home& home : homes) gangs.insert({home.domain, home.core});
  return gangs.size();
}

RC_GTEST_PROP(SpreadingLaws, ItEndsWithNoCoreEmptyBesideACrowdAndNoNeedlessSharing, ()) {
  const int cores = *rc::gen::inRange(1, 9).as("cores");
  const int siblings = *rc::gen::element(1, 2, 4).as("siblings");
  const Topology topology = Topology::FromHwlocSynthetic("numa:1 core:" + std::to_string(cores) +
                                                         " pu:" + std::to_string(siblings))
                                .value();
  std::vector<Home> homes(*rc::gen::inRange<size_t>(1, 40).as("vCPUs"));
  for (Home& home : homes) {
    home.domain = DomainId(*rc::gen::inRange(2, 8));
    home.core = *rc::gen::inRange(0, cores);
  }
  const size_t before = NrGangs(homes);
  RC_ASSERT(Settle(topology, homes) < 200u);
  std::map<int, std::map<DomainId, int>> on;  // vCPUs, by core and domain
  for (const Home& home : homes) ++on[home.core][home.domain];
  // A core is empty only where everybody has one to itself.
  if (static_cast<int>(on.size()) < cores) RC_ASSERT(homes.size() == on.size());
  // Gangs are as many as before at most, but for those that have a core to themselves.
  size_t alone = 0;
  for (const auto& [core, domains] : on) alone += domains.size() == 1;
  RC_ASSERT(NrGangs(homes) <= before + alone);
  for (const auto& [one, domains] : on) {
    for (const auto& [other, others] : on) {
      RC_ASSERT(domains.size() <= others.size() + 1 ||
                std::all_of(domains.begin(), domains.end(),
                            [&](const auto& entry) { return others.count(entry.first) > 0; }));
      if (one == other || domains.size() < 2 || others.size() > domains.size()) continue;
      for (const auto& [domain, nr] : domains) {
        const auto there = others.find(domain);
        RC_ASSERT(there == others.end() || nr + there->second > siblings);
      }
    }
  }
}

}  // namespace
}  // namespace corral::secure_vm
