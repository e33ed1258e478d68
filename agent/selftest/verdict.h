// SPDX-License-Identifier: Apache-2.0
// What a self-test found, as plain values, and what follows from it. The same figures and
// conditions as the demo's, for the operator's own machine.
#ifndef CORRAL_AGENT_SELFTEST_VERDICT_H_
#define CORRAL_AGENT_SELFTEST_VERDICT_H_

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "kernel/cpu_set.h"
#include "kernel/types.h"

namespace corral {

// Under one scheduler, on the chosen cores.
struct SelftestPart {
  Duration observed{0};
  Duration core_time{0};  // a throwaway VM is on the core
  Duration cross_vm{0};   // vCPUs of two VMs are; under Corral, with both in the class
  Duration forced_idle{0};
  Duration outside{0};  // that vCPUs ran outside the class
  uint64_t core_switches = 0;
  bool complete = true;         // the auditor missed nothing
  std::vector<Duration> ran{};  // each vCPU's
};

struct SelftestFigures {
  std::string kernel;
  CpuSet cpus;
  bool own_enclave = false;  // and agent, which was killed once
  SelftestPart before;       // the default scheduler
  SelftestPart corral;
  // While there was an agent.
  uint64_t by_agent = 0;
  uint64_t by_class = 0;
  uint64_t breaches = 0;
  uint64_t rescues = 0;
  bool in_charge = false;
  std::string left_behind;  // "": everything was given back
};

struct SelftestCondition {
  bool holds = false;
  std::string text;
};

std::vector<SelftestCondition> Judge(const SelftestFigures& figures);

// A table, and a line for each condition.
std::string SelftestText(const SelftestFigures& figures);
// The same; times in ns.
nlohmann::ordered_json SelftestJson(const SelftestFigures& figures);

}  // namespace corral

#endif  // CORRAL_AGENT_SELFTEST_VERDICT_H_
