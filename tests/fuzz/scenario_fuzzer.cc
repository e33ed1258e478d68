// SPDX-License-Identifier: Apache-2.0
// libFuzzer on the parser of scenarios, what `corralctl simulate` is told. Whatever the bytes are:
// a scenario that a simulation can be made of, or errors with their places.
#include <cstdint>
#include <string>

#include "agent/simulate/scenario.h"
#include "tests/fuzz/expect.h"

namespace corral {
namespace {

void CheckDomain(const ScenarioDomain& domain) {
  const TaskAttributes& a = domain.attributes;
  const ScenarioLoad& load = domain.load;
  Expect(domain.vcpus >= 1 && domain.vcpus <= 1024, "vcpus", domain.name);
  Expect(domain.memory_node >= -1, "memory_node", domain.name);
  Expect(a.weight >= 1 && a.weight <= 10000, "weight", domain.name);
  Expect(a.budget >= Duration(0) && a.budget <= a.period, "budget", domain.name);
  Expect(a.cap == Duration(0) || a.cap_period > Duration(0), "cap without a period", domain.name);
  for (const Duration time : {load.run, load.sleep, load.every, load.service, load.hold})
    Expect(time >= Duration(0), "time of a load", domain.name);
  Expect(load.kind != ScenarioLoad::Kind::kRequests || load.every > Duration(0), "requests at once",
         domain.name);
}

void TryOne(const std::string& text) {
  const absl::StatusOr<Scenario> scenario = ParseScenario(text, "f");
  if (!scenario.ok()) return ExpectErrorsWithPlaces(scenario.status());
  Expect(scenario->policy != nullptr, "no policy", text);
  Expect(!scenario->domains.empty(), "no domains", text);
  Expect(scenario->time > Duration(0), "no time", text);
  for (const ScenarioDomain& domain : scenario->domains) CheckDomain(domain);
}

}  // namespace
}  // namespace corral

// The name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(  // NOLINT(readability-identifier-naming)
    const uint8_t* data, size_t size) {
  corral::TryOne(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
