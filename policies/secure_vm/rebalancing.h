// SPDX-License-Identifier: Apache-2.0
// Which vCPUs go to another core of their NUMA node now, and what their domain's weight counts on
// each core, so that domains share the node by weight and not each core.
//
// A core shares itself out among the gangs that it has (a gang: what a domain has on one core). So
// while vCPUs wait, the lead looks from time to time at what each domain had (ledger.h), and pours
// that anew as a fluid: to each domain by weight, but no more than it wanted, nor than its vCPUs
// can use, a sibling each (fluid.h). What a domain lacks of it, or has too much, is its lag, and is
// made good in two ways:
//   parts  a domain's weight is dealt out to its gangs, by how many siblings those can fill, and
//          counts a little more while it lags, or less;
//   moves  where gangs that share one core have less each than those of another, one goes there if
//          that makes the lags smaller that there would be a few turns from now, and by enough.
// A move costs a hand-over and warm caches, so each core takes part in one at a look at most.
//
// Promised time is not shared, and who was promised some stays: admission placed it. Who slept all
// the time since the last look, or had all that it wanted, lags no more. A lag that nothing can
// make good, because of affinities, is forgotten beyond some turns. Source: surplus fair scheduling
// (Chandra and others, OSDI 2000), for gangs of siblings.
//
// The lead's; one thread. Moves() allocates if there are some, Add() may. Units: ns of core time.
#ifndef CORRAL_POLICIES_SECURE_VM_REBALANCING_H_
#define CORRAL_POLICIES_SECURE_VM_REBALANCING_H_

#include <vector>

#include "agent/runtime/policy.h"
#include "agent/runtime/topology.h"
#include "policies/secure_vm/fluid.h"
#include "policies/secure_vm/ledger.h"

namespace corral::secure_vm {

class Rebalancing {
 public:
  // Both must outlive it.
  Rebalancing(const Topology& topology, Duration tenure, uint32_t nr_slots, Ledger& ledger);

  // `vcpu` lives on `core`; the core is one that it may use, or it counts nowhere.
  void Add(const PlacementRequest& vcpu, int core);
  // Takes back one Add of the same.
  void Remove(const PlacementRequest& vcpu, int core);
  // What is due now.
  std::vector<TaskMove> Moves(Time now, PerCorePolicy::Open open);
  // Whether the core's node has another one.
  bool has_choice(int core) const { return nodes_[topology_.core(core).node].cores.size() > 1; }
  // Whether the node had less than its vCPUs could use lately.
  bool balances(int node) const { return ledger_.watched() && nodes_[node].contended; }
  // When to ask again; Time::max() until a core calls the lead.
  Time next() const { return ledger_.watched() ? next_ : Time::max(); }

 private:
  struct Member {
    uint32_t slot = 0;
    DomainId domain{0};
    bool stays = false;
    CpuSet cpus;
    bool awake_now = false;
    uint64_t awake_at = 0;  // the look at which it was seen so last
    bool awake = false;     // now or lately
  };
  // What the lead knows of an entry in the ledger.
  struct Seen {
    Duration had{0}, wanted{0};
    uint64_t look = 0;  // when
  };
  // What a domain has on one core, of those that are awake.
  struct Gang {
    size_t domain = 0;  // in Node::domains
    uint32_t slot = 0;  // of one of them
    int awake = 0, awake_now = 0;
    double share = 0;
  };
  // A core, as of the present look.
  struct Place {
    std::vector<Member> members;
    std::vector<Gang> gangs;
    double shares = 0;  // of all gangs
    double free = 1;    // the part of the time that keeps no promises, lately
    int64_t seen_promised = 0;
    bool looked_at = false;  // for a move
    bool moved = false;      // has a part in one
  };
  struct Domain {
    DomainId id{0};
    int members = 0;
    double lag = 0;
    // As of the present look.
    double weight = 1;
    int awake = 0;
    double had = 0, wanted = 0;  // since the look before
    int gangs = 0;
    double width = 0;           // how many cores those would fill
    double bias = 0;            // to make good the lag
    double limit = 0;           // how many cores it can use
    double fair = 0, rate = 0;  // of how many cores it should have the time, and has
    double change = 0;          // of the rate, by the move that is thought about
    bool moved = false;
    double unit() const { return weight * (1 + bias) / width; }
  };
  struct Node {
    std::vector<int> cores;
    std::vector<Domain> domains;  // by id
    int siblings = 1;             // of a core
    int quiet = 0;                // looks in a row at which there was enough for all
    bool contended = false;       // not many of those
  };
  // So many vCPUs of a domain go from one core to another.
  struct Step {
    int from = -1, to = -1;
    size_t domain = 0;
    int nr = 0;
    double gain = 0;
  };

  void Look(Node& node, Time now, Duration since, PerCorePolicy::Open open,
            std::vector<TaskMove>& moves);
  Domain& DomainOf(Node& node, DomainId id);

  // What happened.
  void Read(Node& node, Time now, Duration since);
  void ReadMembers(Node& node, int core);
  void ReadOn(Node& node, int core, Time now);
  bool MeasureLags(Node& node, Duration since);
  void Forget(Node& node);

  // What is to be done: rebalancing_moves.cc.
  void Weigh(Node& node);
  void TellParts(Node& node);
  int Neediest(const Node& node) const;
  Step Best(Node& node, int from, PerCorePolicy::Open open);
  int Spare(const Node& node, const Gang& gang, int to) const;
  double Gain(Node& node, const Step& step);
  void AddChanges(Node& node, const Place& place, size_t domain, int more);
  bool May(const Node& node, const Step& step) const;
  void Carry(Node& node, const Step& step, std::vector<TaskMove>& moves);

  double Width(const Node& node, int awake) const;
  double Ahead(const Domain& domain) const;
  double Error(const Domain& domain) const;
  int Limit(const Node& node, int vcpus) const {
    return (vcpus + node.siblings - 1) / node.siblings;
  }
  static int AwakeOf(const Place& place, size_t domain);

  const Topology& topology_;
  const double tenure_;
  Ledger& ledger_;
  std::vector<Node> nodes_;
  std::vector<Seen> seen_;      // by slot
  std::vector<Place> places_;   // by core
  std::vector<Glass> glasses_;  // by domain, while a node is looked at
  uint64_t look_;               // how many there were; begun so that nobody was awake lately
  Time looked_{};
  Time next_{};
};

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_REBALANCING_H_
