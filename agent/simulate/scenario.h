// SPDX-License-Identifier: Apache-2.0
// What `corralctl simulate` is told: a machine, a policy, and VMs with what they do. A YAML file.
//
// docs: packaging/man/corralctl.1 and docs/examples/. Plain values; any thread.
#ifndef CORRAL_AGENT_SIMULATE_SCENARIO_H_
#define CORRAL_AGENT_SIMULATE_SCENARIO_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/runtime/options.h"
#include "kernel/ghost_kernel.h"
#include "policies/registry.h"

namespace corral {

// What each vCPU of a domain does.
struct ScenarioLoad {
  enum class Kind {
    kSpin,      // computes all the time
    kMix,       // computes for about `run`, then sleeps for about `sleep`
    kRequests,  // the domain's vCPUs serve requests that come about every `every`, each `service`
    kLock,      // computes for about `run`, then holds the domain's spin lock for about `hold`
    kRelay,     // the vCPUs work one after the other, each for about `run`
  };
  Kind kind = Kind::kSpin;
  // Means of exponential distributions.
  Duration run{0};
  Duration sleep{0};
  Duration every{0};
  Duration service{0};
  Duration hold{0};
  // kLock: KVM yields for vCPUs that spin (pause-loop exiting).
  bool directed_yield = false;
};

struct ScenarioDomain {
  std::string name;
  int vcpus = 1;
  int memory_node = -1;  // NUMA node that its memory is on; -1: spread over all of them
  TaskAttributes attributes;
  ScenarioLoad load;
};

struct Scenario {
  std::string file;                             // for messages
  std::string topology = "numa:1 core:4 pu:2";  // hwloc's synthetic notation, or an XML file's path
  const PolicyInfo* policy = nullptr;
  OptionValues options;
  CpuSet housekeeping;  // of the agent's threads; their cores are not the VMs'
  Duration time = std::chrono::seconds(2);
  uint64_t seed = 1;
  std::vector<ScenarioDomain> domains;  // with `count` of each written out
};

// InvalidArgument: one line per error, with its place. NotFound: the file cannot be read.
absl::StatusOr<Scenario> ParseScenario(const std::string& text, const std::string& file);
absl::StatusOr<Scenario> LoadScenario(const std::string& file);

}  // namespace corral

#endif  // CORRAL_AGENT_SIMULATE_SCENARIO_H_
