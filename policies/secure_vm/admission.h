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
#include "policies/secure_vm/gang_server.h"

namespace corral::secure_vm {

struct AdmissionCosts {
  Duration min_tenure = std::chrono::milliseconds(2);
  Duration hand_over = std::chrono::microseconds(20);
  int reserve_percent = 5;
};

// What is to be promised.
struct Demand {
  DomainId domain;
  Duration budget{0};
  Duration period{0};
  Siblings siblings = kAnySibling;  // that the vCPU may use
};

class CoreAdmission {
 public:
  CoreAdmission(int nr_siblings, const AdmissionCosts& costs)
      : nr_siblings_(nr_siblings), costs_(costs) {}

  int nr_siblings() const { return nr_siblings_; }
  bool Fits(const Demand& demand) const;
  // The largest budget that fits; 0 if none does.
  Duration Room(const Demand& demand) const;
  void Add(const Demand& demand);
  // Takes back one Add with the same values.
  void Remove(const Demand& demand);
  // The part of the core that is promised, hand-overs included.
  double utilization() const { return utilization_; }
  // What one more promise adds to it.
  double Increase(const Demand& demand) const;

 private:
  // What a domain was promised here for one period.
  struct Server {
    std::vector<Promised> vcpus;
    double share = 0;
  };

  double Share(Duration period, const std::vector<Promised>& vcpus) const;
  double Capacity() const { return 1.0 - costs_.reserve_percent / 100.0; }
  void SumUp();

  int nr_siblings_;
  AdmissionCosts costs_;
  std::map<std::pair<Duration, DomainId>, Server> servers_;
  double utilization_ = 0;
};

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_ADMISSION_H_
