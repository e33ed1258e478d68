// SPDX-License-Identifier: Apache-2.0
// Where the vCPUs of a domain go, and which budgets are promised: on cores that they may use,
// siblings of one core first, then balanced, within one NUMA node as long as it fits.
//
// A core is filled with a domain's vCPUs, as long as there is a sibling for each, before another
// core is begun, because siblings run in parallel only within a domain. Otherwise the core with the
// fewest vCPUs is taken, then the one with the fewest domains (each of them is a wait of one
// tenure). The node that a vCPU is best on comes before others, then the one that its domain is on
// already. A domain fits a node as long as it has no more vCPUs there than the node has CPUs. Where
// that leaves cores empty, or has come to do so, vCPUs move (spreading.h).
//
// A vCPU with a budget goes where that can be promised (admission.h): where it costs least, and of
// such cores where most is left (worst fit), in the best node before others. One that may run
// nowhere is promised nothing and counts nowhere. One thread.
#ifndef CORRAL_POLICIES_SECURE_VM_PLACEMENT_H_
#define CORRAL_POLICIES_SECURE_VM_PLACEMENT_H_

#include <map>
#include <vector>

#include "absl/functional/function_ref.h"
#include "agent/runtime/policy.h"
#include "agent/runtime/topology.h"
#include "kernel/types.h"
#include "policies/secure_vm/admission.h"

namespace corral::secure_vm {

class Placement {
 public:
  Placement(const Topology& topology, const AdmissionCosts& costs);

  // The core for one more vCPU, as a position in the topology. Changes nothing.
  int Choose(const PlacementRequest& vcpu) const;
  // What the vCPU, which is on `core` without a promise, can be promised, and where. Changes
  // nothing.
  CorePromise Judge(const PlacementRequest& vcpu, int core) const;
  // Moves of promised vCPUs after which it could be promised its budget (repacking.h).
  std::vector<TaskMove> MakeRoom(const PlacementRequest& vcpu) const;
  // Moves of vCPUs without a promise, to cores that are open, after which cores are used better
  // (spreading.h); a few at a time. `balanced` says in which nodes others see to balance.
  std::vector<TaskMove> Spread(PerCorePolicy::Open open,
                               absl::FunctionRef<bool(int node)> balanced) const;
  void Add(const PlacementRequest& vcpu, int core);
  // Takes back one Add of the same.
  void Remove(const PlacementRequest& vcpu, int core);

  int vcpus_on(int core) const { return load_[core].vcpus; }
  int domains_on(int core) const { return static_cast<int>(load_[core].by_domain.size()); }
  const CoreAdmission& admission(int core) const { return load_[core].admission; }

 private:
  struct Load {
    CoreAdmission admission;
    int vcpus = 0;
    // By domain, then by vCPU: the siblings that it may use.
    std::map<DomainId, std::vector<Siblings>> by_domain;
    size_t Of(DomainId domain) const {
      const auto it = by_domain.find(domain);
      return it == by_domain.end() ? 0 : it->second.size();
    }
  };
  struct Node {
    int cpus = 0;
    int vcpus = 0;
    int of_domain = 0;
    bool usable = false;
  };

  Siblings SiblingsFor(const PlacementRequest& vcpu, int core) const {
    return topology_.core(core).SiblingsIn(vcpu.cpus);
  }
  Demand DemandOn(const PlacementRequest& vcpu, int core) const;
  bool HasSiblingFor(const PlacementRequest& vcpu, int core) const;
  int ChooseNode(const PlacementRequest& vcpu) const;
  int ChooseFitting(const PlacementRequest& vcpu, int node) const;

  Topology topology_;
  const AdmissionCosts costs_;
  std::vector<Load> load_;
  std::map<uint32_t, std::pair<PlacementRequest, int>> vcpus_;  // by slot; with its core
};

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_PLACEMENT_H_
