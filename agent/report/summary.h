// SPDX-License-Identifier: Apache-2.0
// What a stretch of samples comes to: totals, percentiles, and figures over time in slices of equal
// length. What the page shows, before it is drawn.
//
// Pure functions and plain values; any thread. Units: shares in CPUs, and amounts of time in
// seconds of one CPU.
#ifndef CORRAL_AGENT_REPORT_SUMMARY_H_
#define CORRAL_AGENT_REPORT_SUMMARY_H_

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "agent/report/incidents.h"
#include "agent/report/sample.h"

namespace corral::report {

// The most slices that a picture has room for.
inline constexpr size_t kMostSlices = 120;
// Time between two samples that nobody recorded, from which on it is told.
inline constexpr Duration kGap = std::chrono::seconds(5);

// A figure over time: its mean in each slice. Negative: nothing is known of that slice.
using Series = std::vector<double>;

// How long waits for a CPU were at most; Duration::max(): longer than the class tells apart.
struct WaitPercentiles {
  Duration p50{0}, p90{0}, p99{0};
};

struct DomainSummary {
  std::string name;    // of two at a time with the same name, one has its number behind it
  uint32_t vcpus = 0;  // most at a time, likewise:
  uint32_t refused = 0;
  uint32_t unprotected = 0;
  uint32_t cores = 0;
  double guaranteed = 0, used = 0;  // means over the time that it was there
  double most_used = 0;             // of a sample
  double used_s = 0, local_s = 0, remote_s = 0, missed_s = 0;
  double unprotected_s = 0;  // of its vCPUs
  std::array<double, GHOST_NR_WAITS> waited_s = {};
  double all_waited_s = 0;
  uint64_t waits = 0;  // of its vCPUs
  WaitPercentiles wait;
  Series used_over_time, guaranteed_over_time, waited_over_time, missed_over_time;
};

struct CoreSummary {
  uint32_t id = 0;
  uint32_t node = 0;
  uint32_t cpus = 0;
  uint64_t switches = 0, rescues = 0, breaches = 0;
  double forced_idle_s = 0;
  Series forced_idle_over_time;
};

// What the auditor saw.
struct AuditSums {
  double watched_s = 0;
  double enforced_s = 0, exposed_s = 0, forced_idle_s = 0;
  bool complete = true;
};

struct Summary {
  absl::Time from, until;
  bool simulated = false;
  size_t samples = 0;
  size_t nr_cpus = 0, nr_cores = 0, nr_nodes = 0;  // of the enclaves, most at a time
  double seconds = 0;                              // that samples cover
  double used_s = 0, guaranteed_s = 0, waited_s = 0, missed_s = 0;
  double forced_idle_s = 0, hand_over_s = 0;
  double local_s = 0, remote_s = 0;
  double unprotected_s = 0;
  uint64_t switches = 0, rescues = 0, breaches = 0;
  uint32_t omitted = 0;  // domains, most at a time
  std::optional<AuditSums> audit;
  Series used_over_time, guaranteed_over_time, waited_over_time;
  Series forced_idle_over_time, hand_over_over_time;
  std::vector<DomainSummary> domains;  // those that need attention first, then by use
  std::vector<CoreSummary> cores;      // of enclaves, by node and id
  std::vector<Incident> incidents;

  size_t slices() const { return used_over_time.size(); }
};

// InvalidArgument: there is no sample.
absl::StatusOr<Summary> Summarize(absl::Span<const Sample> samples);

}  // namespace corral::report

#endif  // CORRAL_AGENT_REPORT_SUMMARY_H_
