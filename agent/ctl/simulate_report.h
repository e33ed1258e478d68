// SPDX-License-Identifier: Apache-2.0
// The report of a simulation: the same page that `corralctl report` makes of a host.
#ifndef CORRAL_AGENT_CTL_SIMULATE_REPORT_H_
#define CORRAL_AGENT_CTL_SIMULATE_REPORT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/report/sample.h"
#include "agent/simulate/simulation.h"

namespace corral::ctl {

// Advances by `time`, and takes samples meanwhile. Their times count from 1970 on.
std::vector<report::Sample> SampleRun(Simulation& simulation, Duration time);

// `subject` stands in the title.
absl::StatusOr<std::string> SimulationReport(const std::vector<report::Sample>& samples,
                                             const std::string& subject);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_SIMULATE_REPORT_H_
