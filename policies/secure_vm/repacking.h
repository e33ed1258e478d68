// SPDX-License-Identifier: Apache-2.0
// Makes room for a budget that fits on no core as things are, by keeping other promises elsewhere.
//
// First with one gang that changes its core, the smallest that will do; then by dealing all gangs
// out again, largest first, each to the fullest core that has room for it (best fit decreasing).
// Not every way that there is: bin packing is hard, and moves cost caches. One thread; used once.
#ifndef CORRAL_POLICIES_SECURE_VM_REPACKING_H_
#define CORRAL_POLICIES_SECURE_VM_REPACKING_H_

#include <vector>

#include "agent/runtime/policy.h"
#include "agent/runtime/topology.h"
#include "policies/secure_vm/admission.h"

namespace corral::secure_vm {

class Repacking {
 public:
  Repacking(const Topology& topology, const AdmissionCosts& costs);

  // What is promised where.
  void Add(const PlacementRequest& vcpu, int core);
  // The moves; none if no way was found, or none is needed.
  std::vector<TaskMove> RoomFor(const PlacementRequest& vcpu);

 private:
  // Promised vCPUs of a domain, with the same period, on one core. They move together.
  struct Gang {
    std::vector<PlacementRequest> vcpus;
    int core = 0;
  };
  using Cores = std::vector<CoreAdmission>;

  std::vector<TaskMove> ByOneMove(const PlacementRequest& vcpu);
  std::vector<TaskMove> ByDealingOut(const PlacementRequest& vcpu) const;
  double Share(const Gang& gang) const;
  static bool Fits(const Gang& gang, CoreAdmission core);
  static void Put(const Gang& gang, CoreAdmission& core);
  static void Take(const Gang& gang, CoreAdmission& core);
  static int Fullest(const Gang& gang, const Cores& cores, int except);

  const AdmissionCosts costs_;
  std::vector<int> siblings_;  // by core
  Cores cores_;
  std::vector<Gang> gangs_;
};

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_REPACKING_H_
