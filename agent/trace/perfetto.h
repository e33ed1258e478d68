// SPDX-License-Identifier: Apache-2.0
// A trace of the class as a file for ui.perfetto.dev: who ran where, and what class and agents told
// each other meanwhile.
#ifndef CORRAL_AGENT_TRACE_PERFETTO_H_
#define CORRAL_AGENT_TRACE_PERFETTO_H_

#include <string>
#include <vector>

#include "agent/trace/trace_names.h"
#include "agent/trace/trace_rings.h"

namespace corral {

// `events` as TraceRings gives them. Whoever runs at the end is shown until the last event.
std::string PerfettoOf(const ControlKernel& kernel, const std::vector<TraceEvent>& events,
                       uint64_t lost, TraceNames& names);

}  // namespace corral

#endif  // CORRAL_AGENT_TRACE_PERFETTO_H_
