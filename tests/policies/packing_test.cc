// SPDX-License-Identifier: Apache-2.0
// How close secure_vm's admission comes to a packer that tries everything, on small machines, with
// vCPUs that may run anywhere and with pinned ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <random>
#include <string>

#include "policies/secure_vm/placement.h"

namespace corral::secure_vm {
namespace {

using std::chrono::milliseconds;

constexpr AdmissionCosts kCosts;

struct Set {
  Topology topology;
  std::vector<PlacementRequest> vcpus;  // as they come
};

class Draw {
 public:
  explicit Draw(uint32_t seed) : random_(seed) {}

  // Promises to about the whole machine, in up to as many gangs as a search can deal with. Pins
  // leave room that promises can have only on paper, so then there are more.
  Set Next(int most_cores, int siblings, bool pinned) {
    const int cores = Pick(1, most_cores);
    const std::string machine =
        "numa:1 core:" + std::to_string(cores) + " pu:" + std::to_string(siblings);
    Set set = {.topology = Topology::FromHwlocSynthetic(machine).value()};
    constexpr int kPeriods[] = {20, 50, 100};
    const double load = 0.5 + 0.05 * Pick(0, pinned ? 16 : 8);
    double share = 0;
    for (uint32_t domain = 2; domain < 11 && share < load * cores; ++domain) {
      const int period = kPeriods[Pick(0, 2)];
      const int percent = Pick(10, 70);
      for (int n = Pick(1, siblings); n > 0; --n) {
        set.vcpus.push_back({.domain = DomainId(domain),
                             .slot = static_cast<uint32_t>(set.vcpus.size()),
                             .budget = Duration(milliseconds(period)) * percent / 100,
                             .period = milliseconds(period)});
        if (pinned) set.vcpus.back().cpus = Pin(set.topology);
      }
      share += percent / 100.0;
    }
    return set;
  }

 private:
  int Pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  // As operators do it: not at all, to a CPU, to a core, to some CPUs.
  CpuSet Pin(const Topology& topology) {
    const Core& core = topology.core(Pick(0, topology.nr_cores() - 1));
    switch (Pick(0, 3)) {
      case 0:
        return CpuSet::All();
      case 1:
        return CpuSet{core.cpu[Pick(0, core.nr_cpus - 1)].value()};
      case 2:
        return core.siblings;
      default: {
        CpuSet some = core.siblings;
        topology.cpus().ForEach([&](CpuId cpu) {
          if (Pick(0, 1) == 0) some.Insert(cpu);
        });
        return some;
      }
    }
  }

  std::mt19937 random_;
};

// Every way to deal the vCPUs out to siblings, with the arithmetic of admission.h but none of its
// code.
class Packer {
 public:
  explicit Packer(const Set& set) : set_(set), cores_(set.topology.nr_cores()) {
    for (const PlacementRequest& vcpu : set.vcpus) order_.push_back(&vcpu);
    std::stable_sort(order_.begin(), order_.end(), [&](const auto* a, const auto* b) {
      return std::pair((a->cpus & set.topology.cpus()).size(), -Share(*a)) <
             std::pair((b->cpus & set.topology.cpus()).size(), -Share(*b));
    });
  }
  bool Packs() { return Place(0); }
  bool gave_up() const { return nodes_ > kNodes; }

 private:
  static constexpr int kNodes = 200'000;
  struct Gang {
    std::array<Duration, GHOST_MAX_SIBLINGS> load{};
    std::vector<Siblings> siblings;
  };
  using Gangs = std::map<std::pair<Duration, DomainId>, Gang>;

  static double Share(const PlacementRequest& v) {
    return static_cast<double>(v.budget.count()) / static_cast<double>(v.period.count());
  }

  bool Place(size_t i) {
    if (i == order_.size()) return true;
    if (++nodes_ > kNodes) return false;
    const PlacementRequest& v = *order_[i];
    for (int c = 0; c < set_.topology.nr_cores(); ++c) {
      const Core& core = set_.topology.core(c);
      const Siblings may = core.SiblingsIn(v.cpus);
      for (int s = 0; s < core.nr_cpus; ++s) {
        if ((may & SiblingBit(s)) == 0) continue;
        const Gangs before = cores_[c];
        Gang& gang = cores_[c][{v.period, v.domain}];
        gang.load[s] += v.budget;
        gang.siblings.push_back(may);
        if (Feasible(cores_[c], core.nr_cpus) && Place(i + 1)) return true;
        cores_[c] = before;
      }
    }
    return false;
  }

  static bool Feasible(const Gangs& gangs, int nr_siblings) {
    double share = 0;
    for (auto it = gangs.begin(); it != gangs.end(); ++it) {
      const auto& [period, domain] = it->first;
      const Gang& gang = it->second;
      const int takes_turns =
          static_cast<int>(gang.siblings.size()) - AtOnce(gang.siblings, nr_siblings);
      const Duration time = *std::max_element(gang.load.begin(), gang.load.end()) +
                            kCosts.hand_over * (2 + takes_turns);
      const auto part = [period = period](Duration of) {
        return static_cast<double>(of.count()) / static_cast<double>(period.count());
      };
      share += part(time);
      const bool last = std::next(it) == gangs.end() || std::next(it)->first.first != period;
      const double capacity = 1 - kCosts.reserve_percent / 100.0;
      if (last && share + part(kCosts.min_tenure + kCosts.hand_over) > capacity) return false;
    }
    return true;
  }

  const Set& set_;
  std::vector<const PlacementRequest*> order_;
  std::vector<Gangs> cores_;
  int nodes_ = 0;
};

// One vCPU after the other, as the lead does it (agent/runtime/lead_moves.cc).
class Admission {
 public:
  explicit Admission(const Set& set) : set_(set), placement_(set.topology, kCosts) {}

  bool AdmitsAll() {
    return std::all_of(set_.vcpus.begin(), set_.vcpus.end(),
                       [&](const PlacementRequest& vcpu) { return Admit(vcpu); });
  }
  bool moved_any() const { return moved_any_; }

 private:
  bool Admit(PlacementRequest vcpu) {
    const int core = placement_.Choose(vcpu);
    CorePromise promise = placement_.Judge(vcpu, core);
    if (promise.granted == Duration(0)) {
      MakeRoom(vcpu);
      promise = placement_.Judge(vcpu, core);
    }
    if (promise.granted == Duration(0)) return false;
    vcpu.granted = promise.granted;
    Place(vcpu, promise.core);
    return true;
  }

  void MakeRoom(const PlacementRequest& vcpu) {
    const std::vector<TaskMove> moves = placement_.MakeRoom(vcpu);
    moved_any_ |= !moves.empty();
    for (const TaskMove& m : moves)
      placement_.Remove(placed_[m.slot].first, placed_[m.slot].second);
    for (const TaskMove& m : moves) Place(placed_[m.slot].first, m.core);
  }

  void Place(const PlacementRequest& vcpu, int core) {
    const Siblings siblings = set_.topology.core(core).SiblingsIn(vcpu.cpus);
    EXPECT_NE(siblings, 0u) << "it may not run there";
    EXPECT_TRUE(placement_.admission(core).Fits({vcpu.domain, vcpu.budget, vcpu.period, siblings}));
    placement_.Add(vcpu, core);
    placed_[vcpu.slot] = {vcpu, core};
  }

  const Set& set_;
  Placement placement_;
  bool moved_any_ = false;
  std::map<uint32_t, std::pair<PlacementRequest, int>> placed_;
};

void CompareWithTryingEverything(const char* what, int most_cores, int siblings, bool pinned) {
  constexpr int kSets = 500;
  Draw draw(1);
  int feasible = 0, admitted = 0, by_moves = 0, unknown = 0;
  while (feasible < kSets) {
    const Set set = draw.Next(most_cores, siblings, pinned);
    Admission admission(set);
    const bool admits = admission.AdmitsAll();
    if (!admits) {
      Packer packer(set);
      const bool packs = packer.Packs();
      unknown += packer.gave_up();
      if (!packs) continue;
    }
    ++feasible;
    admitted += admits;
    by_moves += admits && admission.moved_any();
  }
  printf(
      "%s: admitted %d of %d sets that can be packed, %d of them by moving others (%d too large "
      "to know)\n",
      what, admitted, feasible, by_moves, unknown);
  EXPECT_GE(admitted * 100, feasible * 95);
  EXPECT_LE(unknown * 100, feasible) << "the packer has to know";
}

TEST(Packing, ComesCloseToTryingEverything) {
  CompareWithTryingEverything("two siblings", 8, 2, /*pinned=*/false);
}

TEST(Packing, ComesCloseWithPinnedVcpus) {
  CompareWithTryingEverything("two siblings, pinned", 4, 2, /*pinned=*/true);
  CompareWithTryingEverything("four siblings, pinned", 2, 4, /*pinned=*/true);
}

}  // namespace
}  // namespace corral::secure_vm
