// SPDX-License-Identifier: Apache-2.0
// What a class knows, as text that another version of it can be told: enclaves, domains, tasks with
// what they are promised and what they did, and what cores and CPUs counted. Layouts in memory
// change from version to version; names do not.
//
// Not in it, because it is made anew: queues and what is on its way in them, offers, agents'
// verdicts, the ring of events. Numbers of enclaves, domains and tasks may be others afterwards.
#ifndef CORRAL_AGENT_CLASS_CLASS_STATE_H_
#define CORRAL_AGENT_CLASS_CLASS_STATE_H_

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "kernel/ghost_kernel.h"

namespace corral {

// As long as nobody changes it, so with its tasks stopped and its agents gone.
nlohmann::json CaptureClass(const ControlKernel& kernel);

// Tells a class that. What is there already stays as it is; threads are in SCHED_EXT, or enter.
// Returns what could not be restored, and why; threads that have ended are no loss. Whatever is
// missing or of another kind in `state` counts as 0.
std::vector<std::string> RestoreClass(ControlKernel& kernel, const nlohmann::json& state);

}  // namespace corral

#endif  // CORRAL_AGENT_CLASS_CLASS_STATE_H_
