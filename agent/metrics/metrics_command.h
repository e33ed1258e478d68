// SPDX-License-Identifier: Apache-2.0
// `corralctl metrics`: what a monitoring system wants to know, in the text format of Prometheus.
//
//   corralctl metrics [--output FILE] [--config FILE] [--pin-dir DIR]
//
// Reads only: the class's memory, and the background measurement of `corralctl audit` if there is
// one. --output replaces FILE in one step, as node_exporter's textfile collector wants it. A class
// that is not in charge is a figure, not a failure. Exit status: command.h.
#ifndef CORRAL_AGENT_METRICS_METRICS_COMMAND_H_
#define CORRAL_AGENT_METRICS_METRICS_COMMAND_H_

#include <CLI/App.hpp>

#include "agent/ctl/command.h"

namespace corral::ctl {

void AddMetricsCommand(CLI::App& app, Action& action);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_METRICS_METRICS_COMMAND_H_
