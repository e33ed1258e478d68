// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/bypass_stops.h"

#include <signal.h>

#include <set>
#include <utility>

namespace corral {

size_t BypassStops::Resume(const ControlKernel& kernel) {
  const uint64_t total = kernel.info().stops;
  if (!pending_ && total == total_) return 0;
  pending_ = total != std::exchange(total_, total);
  std::map<uint64_t, Count> counts;
  std::set<pid_t> processes;
  for (const ghost_status_word& word : kernel.status_words()) {
    const uint64_t gtid = word.gtid;
    const uint32_t stops = word.stops;
    if (gtid == 0 || stops == 0) continue;
    const auto known = counts_.find(gtid);
    Count count = known == counts_.end() ? Count{} : known->second;
    // The class counts a stop when it asks for the signal, which comes a moment later.
    if (count.seen == stops && count.resumed != stops) {
      processes.insert(static_cast<pid_t>(word.tgid));
      count.resumed = stops;
    }
    pending_ = pending_ || count.seen != stops;
    count.seen = stops;
    counts[gtid] = count;
  }
  counts_ = std::move(counts);
  for (const pid_t process : processes) {
    if (process > 1) kill(process, SIGCONT);
  }
  return processes.size();
}

}  // namespace corral
