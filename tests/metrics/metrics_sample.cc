// SPDX-License-Identifier: Apache-2.0
// Prints every family of metrics that there is, with values of a simulated class and made-up VMs:
// what the alert rules and the dashboard may name.
#include <iostream>

#include "agent/metrics/class_metrics.h"
#include "tests/metrics/audit_sample.h"
#include "tests/sim/bare_vms.h"

int main() {
  using namespace corral;
  BareVms vms(1, 2);
  vms.AddVm<Spinner>(1, "red");
  vms.machine().RunFor(std::chrono::seconds(2));
  metrics::Families families = metrics::ClassFamilies(&vms.control(), TrustRules());
  metrics::AddVms({.vms = {{.name = "red", .vcpus = {{.vcpu = 0}}}}, .conflicts = {}}, families);
  AddAuditSample(families);
  std::cout << metrics::Text(families);
}
