// SPDX-License-Identifier: Apache-2.0
// What VMs do while schedulers are compared: every scheduler gets the same loads.
#ifndef CORRAL_TESTS_BENCH_SIDE_BY_SIDE_LOADS_H_
#define CORRAL_TESTS_BENCH_SIDE_BY_SIDE_LOADS_H_

#include <vector>

#include "tests/bench/bench_vm.h"

namespace corral::bench {

struct Load {
  const char* name;
  const char* what;
  std::vector<VmShape> vms;  // for each core of the machine
};

inline const std::vector<Load>& Loads() {
  static const std::vector<Load> loads = {
      {"computing", "two VMs compute, as many vCPUs as CPUs", {{.computing = 1}, {.computing = 1}}},
      {"computing_2x",
       "two VMs compute, twice as many vCPUs",
       {{.computing = 2}, {.computing = 2}}},
      {"computing_odd",
       "two VMs compute, of one and of three vCPUs",
       {{.computing = 1}, {.computing = 3}}},
      {"mostly_idle", "a VM that mostly sleeps, and nothing else", {{.waking = 1}}},
      {"beside_own",
       "a vCPU that mostly sleeps, in a VM that computes",
       {{.computing = 2, .waking = 1}}},
      {"beside_other",
       "a VM that mostly sleeps beside one that computes",
       {{.waking = 1}, {.computing = 2}}},
      {"requests",
       "two VMs serve requests, a third computes",
       {{.serving = 1}, {.serving = 1}, {.computing = 1}}},
  };
  return loads;
}

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_SIDE_BY_SIDE_LOADS_H_
