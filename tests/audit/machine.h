// SPDX-License-Identifier: Apache-2.0
// What the live audit tests need to know about the machine that they run on.
#ifndef CORRAL_TESTS_AUDIT_MACHINE_H_
#define CORRAL_TESTS_AUDIT_MACHINE_H_

#include <string>
#include <vector>

#include "kernel/cpu_set.h"
#include "kernel/types.h"

namespace corral {

struct Machine {
  // As sysfs tells them, or, where no core has siblings, each two CPUs taken for siblings: to the
  // auditor it is all the same.
  std::vector<CpuSet> cores;
  int first = -1, sibling = -1;  // two siblings
  int elsewhere = -1;            // a CPU of another core; -1 if there is none
  bool is_test_host = false;     // tests/host, which is emulated
  bool has_sched_ext = false;    // SCHED_EXT is a valid policy
  // How long a test lets threads spin. Emulators stall a CPU for milliseconds, which must be well
  // below 1%.
  Duration spin{};
  // Why the auditor cannot run here; empty if it can.
  std::string obstacle;
};

Machine ThisMachine();

}  // namespace corral

#endif  // CORRAL_TESTS_AUDIT_MACHINE_H_
