// SPDX-License-Identifier: Apache-2.0
// Makes room for a budget that fits on no core as things are, by keeping other promises elsewhere.
//
// First with one gang that changes its core, or one vCPU of a gang, the smallest that will do; then
// by dealing all promised vCPUs out again: those with the fewest cores to choose from first, the
// largest of them first, each to the core where it costs least and that is fullest (best fit
// decreasing). What does not come out even is tried otherwise, the last choice first, for a limited
// time: bin packing is hard. All stay where they may run. One thread; used once.
#ifndef CORRAL_POLICIES_SECURE_VM_REPACKING_H_
#define CORRAL_POLICIES_SECURE_VM_REPACKING_H_

#include <vector>

#include "agent/runtime/policy.h"
#include "agent/runtime/topology.h"
#include "policies/secure_vm/admission.h"

namespace corral::secure_vm {

class Repacking {
 public:
  // The topology must outlive it.
  Repacking(const Topology& topology, const AdmissionCosts& costs);

  // What is promised where. The vCPU must outlive it.
  void Add(const PlacementRequest& vcpu, int core);
  // The moves; none if no way was found, or none is needed.
  std::vector<TaskMove> RoomFor(const PlacementRequest& vcpu);

 private:
  // Promised vCPUs of a domain, with the same period, on one core. They move together.
  struct Gang {
    std::vector<const PlacementRequest*> vcpus;
    int core = 0;
  };
  // A vCPU that is dealt out.
  struct Item {
    const PlacementRequest* vcpu = nullptr;
    int from = 0;  // -1: it has no core yet
    int to = 0;
    double share = 0;
    int choices = 0;  // cores that it may use
  };
  using Cores = std::vector<CoreAdmission>;

  Demand DemandOn(const PlacementRequest& vcpu, int core) const;
  std::vector<TaskMove> ByOneMove(const PlacementRequest& vcpu);
  std::vector<TaskMove> ByDealingOut(const PlacementRequest& vcpu);
  std::vector<Gang> Movable() const;
  double Share(const Gang& gang) const;
  bool Fits(const Gang& gang, int core) const;
  int FullestFor(const Gang& gang) const;
  Item ItemFor(const PlacementRequest& vcpu, int from) const;
  bool Deal(size_t item);
  std::vector<int> CoresFor(const Item& item);

  const Topology& topology_;
  const AdmissionCosts costs_;
  Cores cores_;
  std::vector<Gang> gangs_;
  std::vector<Item> items_;
  int tries_ = 0;
};

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_REPACKING_H_
