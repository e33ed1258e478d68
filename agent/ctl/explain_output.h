// SPDX-License-Identifier: Apache-2.0
// Why vCPUs wait and what isolation costs, as text of 80 columns and as JSON.
#ifndef CORRAL_AGENT_CTL_EXPLAIN_OUTPUT_H_
#define CORRAL_AGENT_CTL_EXPLAIN_OUTPUT_H_

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "agent/trace/thread_story.h"
#include "agent/views/wait_view.h"

namespace corral::ctl {

// One VM or trust domain; `all` are the vCPUs of the host, among which are those that it meets.
std::string ExplainText(const std::string& name, absl::Span<const VcpuWaits> its,
                        absl::Span<const VcpuWaits> all);

// One thread.
std::string ExplainText(const ThreadStory& story);

// What a trust domain had, of CPUs: 1 is one CPU all the time.
struct DomainCost {
  std::string name;
  int vcpus = 0;
  double ran = 0;
  double turn = 0;         // waited for other domains that used all of its cores
  double forced_idle = 0;  // waited beside a sibling that had to idle
  double hand_over = 0;    // cores changed hands, agents decided
  double isolation() const { return forced_idle + hand_over; }
};

// What two trust domains that meet on cores would have more if they were one: at most the time that
// one of them waited beside an idle sibling while the other had the core.
struct Merger {
  std::string a, b;
  double saves = 0;
};

struct Cost {
  std::vector<DomainCost> domains;  // by what isolation costs, dearest first
  std::vector<Merger> mergers;      // likewise
};

Cost CostOf(absl::Span<const VcpuWaits> all);
std::string CostText(const Cost& cost);
nlohmann::json ToJson(const Cost& cost);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_EXPLAIN_OUTPUT_H_
