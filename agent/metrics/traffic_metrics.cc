// SPDX-License-Identifier: Apache-2.0
#include "agent/metrics/traffic_metrics.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "agent/runtime/counters.h"
#include "agent/runtime/wait_account.h"

namespace corral::metrics {
namespace {

double Load(const __u64& value) {
  return static_cast<double>(__atomic_load_n(&value, __ATOMIC_RELAXED));
}

// How long agents, and other threads of the host, had the CPUs of the core.
CpuClocks ClocksOf(const ControlKernel& kernel, const ghost_core_state& core, Time now) {
  CpuClocks sum;
  for (uint32_t i = 0; i < core.nr_cpus && i < GHOST_MAX_SIBLINGS; ++i) {
    const CpuClocks clocks = ReadClocks(kernel.cpu_states()[core.cpus[i]], now);
    sum.host += clocks.host;
    sum.agent += clocks.agent;
  }
  return sum;
}

void AddClocks(const ControlKernel& kernel, Families& families) {
  Family family = Family::Counter(families, "corral_core_taken_seconds_total",
                                  "CPU time of the core that agents, and other threads of the "
                                  "host, had instead of the class's threads.");
  const Time now = kernel.Now();
  for (uint32_t id = 0; id < kernel.info().nr_cores; ++id) {
    const CpuClocks clocks = ClocksOf(kernel, kernel.cores()[id], now);
    family.Add({{"core", absl::StrCat(id)}, {"by", "agent"}}, Seconds(clocks.agent));
    family.Add({{"core", absl::StrCat(id)}, {"by", "host"}}, Seconds(clocks.host));
  }
}

}  // namespace

void AddTraffic(const ControlKernel& kernel, Families& families) {
  const auto add = [&](const char* name, const char* help, __u64 ghost_queue_state::*field) {
    Family family = Family::Counter(families, name, help);
    for (uint32_t id = 0; id < kernel.queue_states().size(); ++id)
      family.Add({{"core", absl::StrCat(id)}}, Load(kernel.queue_states()[id].*field));
  };
  add("corral_core_messages_total", "Messages to the agent of the core.",
      &ghost_queue_state::messages);
  add("corral_core_message_overflows_total",
      "Messages that found its queue full; it then looked at everything anew.",
      &ghost_queue_state::overflows);
  Family txns = Family::Counter(families, "corral_core_transactions_total",
                                "Decisions of the agent of the core, by what became of them.");
  for (uint32_t id = 0; id < kernel.queue_states().size(); ++id) {
    for (uint32_t state = GHOST_TXN_COMPLETE; state < GHOST_NR_TXN_STATES; ++state) {
      txns.Add({{"core", absl::StrCat(id)}, {"state", absl::AsciiStrToLower(TxnStateName(state))}},
               Load(kernel.queue_states()[id].txns[state]));
    }
  }
  AddClocks(kernel, families);
}

void AddTrips(const ControlKernel& kernel, Families& families) {
  Family::Counter(families, "corral_class_trips_total",
                  "Threads to be stopped rather than exposed that the kernel ran past the class.")
      .Add({}, Load(kernel.info().trips));
  Family::Counter(families, "corral_class_stops_total",
                  "Signals that stopped their processes because of that.")
      .Add({}, Load(kernel.info().stops));
}

}  // namespace corral::metrics
