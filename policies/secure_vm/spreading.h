// SPDX-License-Identifier: Apache-2.0
// Which vCPUs should live on another core, after others came or went.
//
// A gang is what a domain has on one core. In each NUMA node, in this order:
//   balance  the core with most gangs gives one to the core with fewest, if that is fewer by two
//            (of cores that have and can take one that may move);
//   merge    of two gangs of a domain that fit on the siblings of one core, one that shares its
//            core with other domains joins the other: fewer domains wait for that core, and no
//            sibling idles;
//   split    a core that nobody lives on takes a vCPU from one on which a domain is alone with
//            several: it gets a core for itself as long as there is one.
// Where vCPUs wait for each other's turns, others see to balance (rebalancing.h), by time and not
// by number: there it merges only. Each step lowers the sum of squares of gangs per core, or the
// number of gangs, or the number of empty cores, and none undoes another, so it comes to an end. It
// knows who lives where, not who sleeps. vCPUs that are promised time stay, because admission
// placed them. Nobody moves to a core that it may not use, or that is not open.
//
// A value for one question. One thread.
#ifndef CORRAL_POLICIES_SECURE_VM_SPREADING_H_
#define CORRAL_POLICIES_SECURE_VM_SPREADING_H_

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "agent/runtime/policy.h"
#include "agent/runtime/topology.h"
#include "kernel/types.h"

namespace corral::secure_vm {

class Spreading {
 public:
  // Both must outlive it.
  Spreading(const Topology& topology, PerCorePolicy::Open open);

  // `vcpu` lives on `core`, which it may use. Must outlive the question.
  void Add(const PlacementRequest& vcpu, int core, bool stays);
  // At most about `most`, one after the other; none: all live where they should. `balanced` says in
  // which nodes others see to balance.
  std::vector<TaskMove> Moves(size_t most, absl::FunctionRef<bool(int node)> balanced);

 private:
  struct Gang {
    std::vector<const PlacementRequest*> vcpus;
    bool stays = false;  // some of it do
  };
  using Gangs = std::map<std::pair<DomainId, int>, Gang>;

  bool Balance(int node);
  bool Merge();
  bool Split(int node);
  bool Join(DomainId domain, int core, int other);
  std::vector<int> ByGangs(int node) const;
  Gangs::iterator Smallest(int core, int to);
  bool SplitTo(int empty);
  bool May(const PlacementRequest& vcpu, int core) const;
  bool MayAll(const Gang& gang, int core) const;
  bool MayAny(const Gang& gang, int core) const;
  bool FitTogether(const Gang& gang, const Gang& other, int core) const;
  bool GiveOne(Gangs::iterator from, int to);
  void Leave(Gangs::iterator from);

  const Topology& topology_;
  const PerCorePolicy::Open open_;
  Gangs gangs_;                              // by domain, then by core
  std::vector<std::set<DomainId>> domains_;  // by core: which have a gang there
  std::vector<TaskMove> moves_;
};

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_SPREADING_H_
