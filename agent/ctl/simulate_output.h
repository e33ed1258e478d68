// SPDX-License-Identifier: Apache-2.0
// What a simulation came to, for people and for programs.
#ifndef CORRAL_AGENT_CTL_SIMULATE_OUTPUT_H_
#define CORRAL_AGENT_CTL_SIMULATE_OUTPUT_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "agent/simulate/simulation.h"

namespace corral::ctl {

// The same scenario at some percentage of all costs.
struct SimulatedCosts {
  int percent = 100;
  SimulationResult result;
};

std::string SimulationText(const SimulationResult& result);
// How the results differ; the first one is what the others are compared with.
std::string SensitivityText(const std::vector<SimulatedCosts>& runs);
nlohmann::json SimulationJson(const SimulationResult& result);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_SIMULATE_OUTPUT_H_
