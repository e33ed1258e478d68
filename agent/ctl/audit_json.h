// SPDX-License-Identifier: Apache-2.0
// The JSON of `corralctl audit --json`. Times are integers of ns; points in time are of
// CLOCK_MONOTONIC. Members may be added.
//
//   {
//     "observed_ns", "epoch_ns",          how long was measured, since when
//     "complete": bool,                   false if anything in "gaps" is not 0
//     "totals": FIGURES,                  the sum over all cores; the longest and worst of any
//     "cores": [FIGURES + {"cpus": [int]}],
//     "vms": [{"id", "name", "tgids": [int], "vcpu_run_ns", "helper_run_ns", "exposure_ns"}],
//     "threads": [{"tid", "tgid", "vm", "kind": "vcpu|helper", "comm", "cpu", "enrolled": bool,
//     "exited": bool, "stints", "run_ns",
//                  "exposure_ns", "early_exposure_ns", "first_seen_ns", "first_enrolled_ns": int or
//                  null}],
//     "gaps": {"missed_probes", "missed_switches", "unmapped_switches", "lost_threads",
//     "lost_processes", "unseen_cpus": [int]}
//   }
//   FIGURES: {
//     "core_time_ns",                     at least one sibling ran a VM: percentages are of this
//     "core_switches",                    vCPU stints that began after another VM's vCPU on that
//     core "vcpu_vcpu": {"enforced_ns", "exposed_ns", "overlaps", "longest_ns", "enforced": SPAN,
//     "exposed": SPAN, "worst": ONSET or null}, "vcpu_helper_ns", "helper_helper_ns", "host_ns",
//     "forced_idle_ns", "same_vm_ns", "cross_vm_ns", "vcpu_helper": SPAN, "helper_helper": SPAN,
//     "host": SPAN + {"p50_ns", "p99_ns"},
//     "missed_probes",                    in totals only: the sum of missed_probes
//     and missed_switches of "gaps" "missed_switches", "negative_intervals", "negative_ns"
//   }
//   SPAN: {"ns", "count", "longest_ns", "worst": ONSET or null}
//   ONSET: {"time_ns", "newcomer": PARTY, "incumbent": PARTY}        the longest one: when it
//   began, and between whom PARTY: {"vm": int, 0 for none, "tid", "cpu", "kind":
//   "vcpu|helper|host|idle|kthread"}
#ifndef CORRAL_AGENT_CTL_AUDIT_JSON_H_
#define CORRAL_AGENT_CTL_AUDIT_JSON_H_

#include <nlohmann/json.hpp>

#include "kernel/audit/report.h"

namespace corral::ctl {

nlohmann::ordered_json AuditJson(const AuditReport& report);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_AUDIT_JSON_H_
