// SPDX-License-Identifier: Apache-2.0
// The class's state as plain values, read from its mapped memory in one pass. What status, cores
// and tasks display.
#ifndef CORRAL_AGENT_VIEWS_CLASS_VIEW_H_
#define CORRAL_AGENT_VIEWS_CLASS_VIEW_H_

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "kernel/ghost_kernel.h"

namespace corral {

struct SiblingView {
  int cpu = 0;
  uint32_t domain = 0;  // whose task was on it at its last switch; 0: none of the class's
  bool claimed = false;
  bool waits = false;  // asked for the core while it belonged to another domain
  bool taken = false;  // a thread of another class has it
  uint64_t ticks = 0;  // that it took from the class's tasks so far
};

struct CoreView {
  uint32_t id = 0;
  uint32_t enclave = 0;
  uint32_t node = 0;
  uint32_t owner = 0;
  uint32_t agent_tid = 0;
  bool agent_stalled = false;
  ghost_core_state counters = {};
  std::vector<SiblingView> siblings;
};

struct DomainView {
  uint32_t id = 0;
  uint32_t enclave = 0;
  std::string name;
  std::string uuid;
  uint32_t vcpus = 0;
  uint32_t running = 0;
  uint32_t waiting = 0;
  Duration runtime{};
};

struct EnclaveView {
  uint32_t id = 0;
  std::string name;
  CpuSet cpus;
  uint32_t cores = 0;
  uint32_t agents = 0;  // cores that have one
  uint32_t stalled = 0;
  std::string policy;  // of the agents; "" without one
  Duration tenure{};
};

struct ClassView {
  bool whole_host = false;  // the host's own threads are in the class as well
  std::vector<EnclaveView> enclaves;
  std::vector<DomainView> domains;
  std::vector<CoreView> cores;
};

ClassView ViewClass(const ControlKernel& kernel);

// "-" where there is none of that id.
std::string NameOfEnclave(const ClassView& view, uint32_t id);

// Switch-ins that isolation forbids, on all cores since the class was loaded.
uint64_t BreachesOf(const ClassView& view);

// {"enclaves":[...],"domains":[...],"cores":[...]}; times in ns.
nlohmann::json ToJson(const ClassView& view);

}  // namespace corral

#endif  // CORRAL_AGENT_VIEWS_CLASS_VIEW_H_
