// SPDX-License-Identifier: Apache-2.0
// Whether a core can keep one more promise: the arithmetic of partitioned EDF.
//
// Each gang server (gang_server.h) takes its core time, and its hand-overs, out of each of its
// periods. With all of them a core must still have, in every period of each, the reserve for what
// is not Corral's (interrupts, the host) and one minimum tenure, for which another domain cannot
// be made to leave. Source: Liu and Layland 1973, with a blocking term (Baker 1991).
//
// A value per core; changes nothing but itself. One thread. Units: ns.
#ifndef CORRAL_POLICIES_SECURE_VM_ADMISSION_H_
#define CORRAL_POLICIES_SECURE_VM_ADMISSION_H_

#include <map>
#include <vector>

#include "kernel/types.h"

namespace corral::secure_vm {

struct AdmissionCosts {
  Duration min_tenure = std::chrono::milliseconds(2);
  Duration hand_over = std::chrono::microseconds(20);
  int reserve_percent = 5;
};

class CoreAdmission {
 public:
  CoreAdmission(int nr_siblings, const AdmissionCosts& costs)
      : nr_siblings_(nr_siblings), costs_(costs) {}

  bool Fits(DomainId domain, Duration budget, Duration period) const;
  // The largest budget that fits; 0 if none does.
  Duration Room(DomainId domain, Duration period) const;
  void Add(DomainId domain, Duration budget, Duration period);
  // Takes back one Add with the same values.
  void Remove(DomainId domain, Duration budget, Duration period);
  // The part of the core that is promised, hand-overs included.
  double utilization() const;
  // The same, with one more promise.
  double UtilizationWith(DomainId domain, Duration budget, Duration period) const;

 private:
  // By period, then by domain; budgets of the members.
  using Servers = std::map<std::pair<Duration, DomainId>, std::vector<Duration>>;
  double Share(Duration period, const std::vector<Duration>& budgets) const;
  bool Feasible(const Servers& servers) const;

  int nr_siblings_;
  AdmissionCosts costs_;
  Servers servers_;
};

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_ADMISSION_H_
