// SPDX-License-Identifier: Apache-2.0
// What keeps a vCPU that is in the class from being protected and served as its VM's others are,
// read from the class: for corrald to tell when it begins, and for corralctl to show.
//
// Pure functions of the class's memory; any thread. A vCPU that is not in the class at all is the
// business of whoever tried to attach it.
#ifndef CORRAL_AGENT_VIEWS_PROTECTION_H_
#define CORRAL_AGENT_VIEWS_PROTECTION_H_

#include <string>
#include <vector>

#include "kernel/ghost_kernel.h"

namespace corral {

// The CPUs that the task in `slot` may use, and those of an enclave.
CpuSet AffinityOf(const ControlKernel& kernel, uint32_t slot);
CpuSet CpusOf(const ControlKernel& kernel, EnclaveId enclave);

// "vCPU 1 of web", or "thread 4711 of web" for others of its threads.
std::string NameOfTask(const ControlKernel& kernel, uint32_t slot);

// Why the task in `slot` is unprotected, with the remedy; "" if it is not.
std::string WhyUnprotected(const ControlKernel& kernel, uint32_t slot);

// Why a budget that was asked for is not promised, with the numbers; "" if it is, or was not judged
// yet.
std::string WhyNotPromised(const ControlKernel& kernel, uint32_t slot);

// A core that tasks of several trust domains may use and no other core.
struct PinConflict {
  CoreId core;
  std::vector<uint32_t> slots;
  int domains = 0;

  friend bool operator==(const PinConflict&, const PinConflict&) = default;
};
std::vector<PinConflict> FindPinConflicts(const ControlKernel& kernel);
// One line: who, where, what it costs, what to do.
std::string Describe(const ControlKernel& kernel, const PinConflict& conflict);

// All of it at one look.
struct VcpuTrouble {
  Gtid gtid{0};
  std::string name;
  std::string why;
};
struct Troubles {
  std::vector<VcpuTrouble> unprotected;
  std::vector<VcpuTrouble> refused;  // budgets that were asked for
  std::vector<std::string> conflicts;
};
Troubles FindTroubles(const ControlKernel& kernel);

}  // namespace corral

#endif  // CORRAL_AGENT_VIEWS_PROTECTION_H_
