// SPDX-License-Identifier: Apache-2.0
#include "policies/shinjuku/policy.h"

#include <algorithm>

namespace corral::shinjuku {

using central::Entry;

absl::Span<const OptionSpec> OptionTable() {
  static constexpr OptionSpec kTable[] = {
      {.name = "slice",
       .type = OptionType::kDuration,
       .default_value = "30us",
       .min = "10us",
       .max = "10ms",
       .help = "For how long a task of the latency class keeps a CPU that another one waits for."},
      {.name = "batch_slice",
       .type = OptionType::kDuration,
       .default_value = "10ms",
       .min = "100us",
       .max = "10s",
       .help = "The same for batch tasks among each other."},
      {.name = "batch_weight",
       .type = OptionType::kInt,
       .default_value = "50",
       .min = "0",
       .max = "10000",
       .help = "Tasks of at most this weight are batch tasks, all others are of the latency class; "
               "0: there are no batch tasks. A nice value of 0 is a weight of 100, 4 is 41, "
               "10 is 10."},
      {.name = "batch_until",
       .type = OptionType::kInt,
       .default_value = "95",
       .min = "0",
       .max = "100",
       .unit = "%",
       .help = "Up to this load of the latency class CPUs start batch tasks by themselves when "
               "they idle; beyond it only the agent does, which costs latency less and batch "
               "tasks more."},
  };
  return kTable;
}

Options ReadOptions(const OptionValues& values) {
  return {.slice = values.GetDuration("slice"),
          .batch_slice = values.GetDuration("batch_slice"),
          .batch_weight = static_cast<uint32_t>(values.GetInt("batch_weight")),
          .batch_until = static_cast<int>(values.GetInt("batch_until"))};
}

// Nobody says that one has changed.
void ShinjukuPolicy::ReadHints(Time now) {
  RankAnew();
  if (now < look_at_waiting_) return;
  look_at_waiting_ = now + kLookAtWaiting;
  RankAnew(batch_);
}

void ShinjukuPolicy::Schedule(Time now, EnclaveTransaction& txn) {
  scheduled_at_ = now;
  if (AnyHints()) ReadHints(now);
  load_.Note(now, board_.Count(kLatency), txn.NrUsable());
  Begin(txn, now);
  const auto yields = [&](const Entry& running, const Entry& waiting) {
    if (running.rank != waiting.rank) return running.rank > waiting.rank;
    return SliceOver(running, now);
  };
  Serve(latency_, yields);
  Serve(batch_, yields);
}

Time ShinjukuPolicy::NextDeadline() const {
  Time at = Time::max();
  if (!latency_.empty()) at = board_.NextSliceEnd(kLatency, scheduled_at_, options_.slice);
  if (!batch_.empty())
    at = std::min(at, board_.NextSliceEnd(kBatch, scheduled_at_, options_.batch_slice));
  if (!batch_.empty() && AnyHints()) at = std::min(at, scheduled_at_ + options_.slice);
  return at;
}

}  // namespace corral::shinjuku
