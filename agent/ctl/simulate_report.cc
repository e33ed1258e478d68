// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/simulate_report.h"

#include <algorithm>
#include <utility>

#include "agent/report/page.h"
#include "agent/report/sampler.h"

namespace corral::ctl {
namespace {

constexpr int kSamples = static_cast<int>(report::kMostSlices);
constexpr int kLooks = 4;  // at each
// Shorter ones would say little of vCPUs that run for milliseconds at a time.
constexpr Duration kLeast = std::chrono::milliseconds(4);

report::AuditSample Judged(const sim::CoreAudit& audit) {
  return {.enforced = audit.enforced().time,
          .exposed = audit.exposed().time,
          .forced_idle = audit.forced_idle()};
}

}  // namespace

std::vector<report::Sample> SampleRun(Simulation& simulation, Duration time) {
  // Agents tell what was waited for whenever they are asked to, so nothing is late.
  report::Sampler sampler(simulation.kernel());
  report::AuditSample before = Judged(simulation.audit());
  std::vector<report::Sample> samples;
  const Time begin = simulation.kernel().Now();
  const Duration step = std::max((time + Duration(kSamples - 1)) / kSamples, kLeast);
  while (time > Duration(0)) {
    const Duration part = std::min(step, time);
    for (int look = 1; look < kLooks; ++look) {
      simulation.Advance(part / kLooks);
      sampler.Look();
    }
    simulation.Advance(part - part / kLooks * (kLooks - 1));
    simulation.TellWaits();
    report::Sample sample = sampler.Take();
    sample.at = absl::UnixEpoch() + absl::FromChrono(simulation.kernel().Now() - begin);
    sample.simulated = true;
    const report::AuditSample now = Judged(simulation.audit());
    sample.audit = {.enforced = now.enforced - before.enforced,
                    .exposed = now.exposed - before.exposed,
                    .forced_idle = now.forced_idle - before.forced_idle};
    before = now;
    samples.push_back(std::move(sample));
    time -= part;
  }
  return samples;
}

absl::StatusOr<std::string> SimulationReport(const std::vector<report::Sample>& samples,
                                             const std::string& subject) {
  const absl::StatusOr<report::Summary> summary = report::Summarize(samples);
  if (!summary.ok()) return summary.status();
  return report::Page(*summary, {.subject = subject, .zone = absl::UTCTimeZone()});
}

}  // namespace corral::ctl
