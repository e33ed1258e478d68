// SPDX-License-Identifier: Apache-2.0
// On which core a vCPU comes to live, by itself and beside others, and as a law over random
// machines and affinities.
#include "policies/secure_vm/placement.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>

namespace corral::secure_vm {
namespace {

using std::chrono::milliseconds;

TEST(Placement, FillsSiblingsThenBalances) {
  const Topology topology = Topology::FromHwlocSynthetic("numa:1 core:3 pu:2").value();
  Placement placement(topology, {});
  uint32_t slot = 0;
  const auto place = [&](uint32_t domain) {
    const PlacementRequest vcpu = {.domain = DomainId(domain), .slot = slot++};
    const int core = placement.Choose(vcpu);
    placement.Add(vcpu, core);
    return core;
  };
  EXPECT_EQ(place(2), 0);
  EXPECT_EQ(place(2), 0);
  EXPECT_EQ(place(3), 1);
  EXPECT_EQ(place(4), 2);
  EXPECT_EQ(place(3), 1);
  EXPECT_EQ(place(5), 2) << "the core with the fewest vCPUs";
  EXPECT_EQ(place(6), 0) << "as many vCPUs, but only one domain";
  placement.Remove({.domain = DomainId(4), .slot = 3}, 2);
  placement.Remove({.domain = DomainId(5), .slot = 5}, 2);
  EXPECT_EQ(place(7), 2);
}

TEST(Placement, KeepsADomainInItsNodeWhileItFits) {
  const Topology topology = Topology::FromHwlocSynthetic("numa:2 core:2 pu:2").value();
  Placement placement(topology, {});
  std::map<int, int> by_node;
  for (uint32_t i = 0; i < 4; ++i) {
    const int core = placement.Choose({.domain = DomainId(2), .slot = i});
    placement.Add({.domain = DomainId(2), .slot = i}, core);
    ++by_node[topology.core(core).node];
  }
  EXPECT_EQ(by_node.size(), 1u);
  const int other = placement.Choose({.domain = DomainId(3)});
  EXPECT_EQ(topology.core(other).node, 1) << "the empty node";
  const int fifth = placement.Choose({.domain = DomainId(2)});
  EXPECT_EQ(topology.core(fifth).node, 1) << "the first node is full";
}

// Adds a vCPU where it is put.
int Place(Placement& placement, const PlacementRequest& vcpu) {
  const int core = placement.Choose(vcpu);
  placement.Add(vcpu, core);
  return core;
}

TEST(Placement, TheNodeThatAVcpuIsBestOnComesFirst) {
  const Topology topology = Topology::FromHwlocSynthetic("numa:3 core:1 pu:2").value();
  Placement placement(topology, {});
  EXPECT_EQ(Place(placement, {.domain = DomainId(2), .slot = 0, .node = 2}), 2);
  EXPECT_EQ(Place(placement, {.domain = DomainId(3), .slot = 1, .node = 2}), 2)
      << "though others are empty";
  EXPECT_EQ(Place(placement, {.domain = DomainId(2), .slot = 2}), 2) << "where its domain is";
  EXPECT_NE(Place(placement, {.domain = DomainId(2), .slot = 3, .node = 2}), 2)
      << "its domain has as many there as there are CPUs";
  EXPECT_EQ(Place(placement, {.domain = DomainId(4), .slot = 4, .cpus = CpuSet{2, 3}, .node = 2}),
            1)
      << "it may not";
  EXPECT_EQ(Place(placement, {.domain = DomainId(5), .slot = 5, .node = 7}), 0) << "not there";
}

TEST(Placement, ABudgetIsPromisedInTheBestNodeIfItFitsThere) {
  const Topology topology = Topology::FromHwlocSynthetic("numa:2 core:2 pu:1").value();
  Placement placement(topology, {});
  PlacementRequest vcpu = {.domain = DomainId(2),
                           .slot = 0,
                           .budget = milliseconds(60),
                           .period = milliseconds(100),
                           .node = 1};
  for (const int core : {2, 3, 0}) {
    const CorePromise promise = placement.Judge(vcpu, placement.Choose(vcpu));
    EXPECT_EQ(promise.granted, vcpu.budget);
    EXPECT_EQ(promise.core, core);
    vcpu.granted = promise.granted;
    placement.Add(vcpu, promise.core);
    vcpu = {.domain = DomainId(3 + core),
            .slot = vcpu.slot + 1,
            .budget = vcpu.budget,
            .period = vcpu.period,
            .node = 1};
  }
}

TEST(Placement, WhoMayRunNowhereIsPlacedPromisedNothingAndDoesNotCount) {
  const Topology topology = Topology::FromHwlocSynthetic("numa:1 core:2 pu:2").value();
  Placement placement(topology, {});
  const PlacementRequest nowhere = {.domain = DomainId(2),
                                    .slot = 0,
                                    .budget = milliseconds(10),
                                    .period = milliseconds(100),
                                    .cpus = CpuSet{77}};
  const int core = placement.Choose(nowhere);
  ASSERT_GE(core, 0);
  const CorePromise promise = placement.Judge(nowhere, core);
  EXPECT_EQ(promise.granted, Duration(0));
  EXPECT_EQ(promise.free, Duration(0));
  EXPECT_TRUE(placement.MakeRoom(nowhere).empty());
  placement.Add(nowhere, core);
  EXPECT_EQ(placement.vcpus_on(core), 0);
  EXPECT_EQ(placement.domains_on(core), 0);
  placement.Remove(nowhere, core);
  EXPECT_EQ(placement.vcpus_on(core), 0);
}

// ---- laws ----

class Story {
 public:
  Story()
      : random_(*rc::gen::arbitrary<uint32_t>().as("seed")),
        topology_(Topology::FromHwlocSynthetic(
                      "numa:" + std::to_string(*rc::gen::inRange(1, 4).as("nodes")) +
                      " core:" + std::to_string(*rc::gen::inRange(1, 5).as("cores of a node")) +
                      " pu:" + std::to_string(*rc::gen::element(1, 2, 3, 4, 8).as("siblings")))
                      .value()),
        placement_(topology_, {}) {}

  // A vCPU comes, goes, or may use other CPUs, as the lead tells it.
  void Step() {
    const uint32_t what = random_() % 4;
    if (vcpus_.empty() || what < 2) return Come(slots_++);
    const auto it = std::next(vcpus_.begin(), static_cast<long>(random_() % vcpus_.size()));
    const uint32_t slot = it->first;
    placement_.Remove(it->second.first, it->second.second);
    vcpus_.erase(it);
    if (what == 2) Come(slot);
  }
  void Spread() {
    for (const TaskMove& move :
         placement_.Spread([](int) { return true; }, [](int) { return false; })) {
      auto& [vcpu, core] = vcpus_.at(move.slot);
      RC_ASSERT(vcpu.granted == Duration(0));
      RC_ASSERT(Siblings(vcpu, move.core) != 0u);
      RC_ASSERT(topology_.core(move.core).node == topology_.core(core).node);
      placement_.Remove(vcpu, core);
      core = move.core;
      placement_.Add(vcpu, core);
    }
  }
  // The account is that of those who are there.
  void CheckAccount() {
    for (int c = 0; c < topology_.nr_cores(); ++c) {
      int here = 0;
      for (const auto& [slot, placed] : vcpus_)
        here += placed.second == c && Siblings(placed.first, c) != 0;
      RC_ASSERT(placement_.vcpus_on(c) == here);
    }
    for (const auto& [slot, placed] : std::map(vcpus_))
      placement_.Remove(placed.first, placed.second);
    for (int c = 0; c < topology_.nr_cores(); ++c) {
      RC_ASSERT(placement_.vcpus_on(c) == 0);
      RC_ASSERT(placement_.domains_on(c) == 0);
      RC_ASSERT(placement_.admission(c).utilization() == 0);
    }
  }

 private:
  uint32_t Siblings(const PlacementRequest& vcpu, int core) const {
    return topology_.core(core).SiblingsIn(vcpu.cpus);
  }

  CpuSet SomeCpus() {
    const uint32_t what = random_() % 4;
    CpuSet some;
    if (what == 0) return CpuSet::All();
    topology_.cpus().ForEach([&](CpuId cpu) {
      if (random_() % (what == 1 ? 2 : 6) == 0) some.Insert(cpu);
    });
    return some;
  }

  void Come(uint32_t slot) {
    PlacementRequest vcpu = {.domain = DomainId(2 + random_() % 5),
                             .slot = slot,
                             .cpus = SomeCpus(),
                             .node = static_cast<int>(random_() % 5) - 1};
    if (random_() % 2 == 0) {
      vcpu.period = milliseconds(50 * (1 + random_() % 2));
      vcpu.budget = vcpu.period * (1 + random_() % 60) / 100;
    }
    int core = placement_.Choose(vcpu);
    RC_ASSERT(core >= 0);
    RC_ASSERT(core < topology_.nr_cores());
    const bool somewhere = vcpu.cpus.Intersects(topology_.cpus());
    RC_ASSERT((Siblings(vcpu, core) != 0) == somewhere);
    if (vcpu.budget == Duration(0) && somewhere) CheckChoice(vcpu, core);
    if (vcpu.budget > Duration(0)) core = Promise(vcpu, core);
    vcpus_[slot] = {vcpu, core};
    placement_.Add(vcpu, core);
  }

  // Where it is promised its budget, if it is.
  int Promise(PlacementRequest& vcpu, int core) {
    CorePromise promise = placement_.Judge(vcpu, core);
    if (promise.granted == Duration(0)) {
      MakeRoom(vcpu);
      promise = placement_.Judge(vcpu, core);
    }
    if (promise.granted == Duration(0)) {
      RC_ASSERT(promise.free < vcpu.budget);
      return core;
    }
    RC_ASSERT(Siblings(vcpu, promise.core) != 0u);
    vcpu.granted = promise.granted;
    return promise.core;
  }

  void MakeRoom(const PlacementRequest& vcpu) {
    const std::vector<TaskMove> moves = placement_.MakeRoom(vcpu);
    for (const TaskMove& m : moves)
      placement_.Remove(vcpus_.at(m.slot).first, vcpus_.at(m.slot).second);
    for (const TaskMove& m : moves) {
      auto& [moved, core] = vcpus_.at(m.slot);
      core = m.core;
      const Demand demand = {moved.domain, moved.budget, moved.period, Siblings(moved, core)};
      RC_ASSERT(placement_.admission(core).Fits(demand));
      placement_.Add(moved, core);
    }
    if (!moves.empty())
      RC_ASSERT(placement_.Judge(vcpu, moves.front().core).granted == vcpu.budget);
  }

  // By the words of placement.h.
  void CheckChoice(const PlacementRequest& vcpu, int chosen) {
    const int node = topology_.core(chosen).node;
    std::map<int, int> cpus, of_domain;
    std::map<int, bool> usable;
    for (int c = 0; c < topology_.nr_cores(); ++c) {
      const int n = topology_.core(c).node;
      cpus[n] += topology_.core(c).nr_cpus;
      of_domain[n] += OnCore(vcpu.domain, c);
      usable[n] |= Siblings(vcpu, c) != 0;
    }
    if (usable.count(vcpu.node) > 0 && usable[vcpu.node] && of_domain[vcpu.node] < cpus[vcpu.node])
      RC_ASSERT(node == vcpu.node);
    std::vector<int> begun, others;
    for (int c = 0; c < topology_.nr_cores(); ++c) {
      if (topology_.core(c).node != node || Siblings(vcpu, c) == 0) continue;
      (OnCore(vcpu.domain, c) > 0 && SeatsAll(vcpu, c) ? begun : others).push_back(c);
    }
    const std::vector<int>& among = begun.empty() ? others : begun;
    RC_ASSERT(std::count(among.begin(), among.end(), chosen) == 1);
    for (const int c : among) RC_ASSERT(placement_.vcpus_on(chosen) <= placement_.vcpus_on(c));
  }

  int OnCore(DomainId domain, int core) const {
    int nr = 0;
    for (const auto& [slot, placed] : vcpus_) {
      nr += placed.second == core && placed.first.domain == domain &&
            Siblings(placed.first, core) != 0;
    }
    return nr;
  }
  // Whether there is a sibling for each of its domain's vCPUs on the core, it included: tries all.
  bool SeatsAll(const PlacementRequest& vcpu, int core) const {
    std::vector<uint32_t> each = {Siblings(vcpu, core)};
    for (const auto& [slot, placed] : vcpus_) {
      const bool mate = placed.second == core && placed.first.domain == vcpu.domain;
      if (mate && Siblings(placed.first, core) != 0) each.push_back(Siblings(placed.first, core));
    }
    return SeatsFrom(each, 0, 0);
  }
  static bool SeatsFrom(const std::vector<uint32_t>& each, size_t i, uint32_t taken) {
    if (i == each.size()) return true;
    for (uint32_t bit = 1; bit < 256; bit <<= 1) {
      if ((each[i] & bit & ~taken) != 0 && SeatsFrom(each, i + 1, taken | bit)) return true;
    }
    return false;
  }

  std::mt19937 random_;
  const Topology topology_;
  Placement placement_;
  std::map<uint32_t, std::pair<PlacementRequest, int>> vcpus_;
  uint32_t slots_ = 0;
};

RC_GTEST_PROP(PlacementLaws, EachLivesWhereItMayAndTheRulesChooseAmongThose, ()) {
  Story story;
  const int steps = *rc::gen::inRange(1, 80).as("steps");
  for (int i = 0; i < steps; ++i) {
    story.Step();
    if (i % 10 == 9) story.Spread();
  }
  story.CheckAccount();
}

}  // namespace
}  // namespace corral::secure_vm
