// SPDX-License-Identifier: Apache-2.0
// What may break on a host with Corral.
#ifndef CORRAL_TESTS_FAULTS_FAULT_LIST_H_
#define CORRAL_TESTS_FAULTS_FAULT_LIST_H_

#include <ostream>
#include <string>
#include <vector>

#include "tests/faults/victim.h"

namespace corral {

struct Fault {
  std::string name;  // also of the test
  // Does it, and takes back what no Corral can. What is left to be done then is recovery.
  void (*strike)(Victim&);
  // The kernel, or root, takes vCPUs away from the class for a while: corrald must say so, with
  // these words in its log. "": they stay in the class all the time.
  std::string told;
  // That the kernel does not report to the auditor: of each CPU that comes online, the one to its
  // idle task, with which it begins.
  uint64_t silent_switches = 0;
};

const std::vector<Fault>& AllFaults();
inline void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

}  // namespace corral

#endif  // CORRAL_TESTS_FAULTS_FAULT_LIST_H_
