// SPDX-License-Identifier: Apache-2.0
#include "policies/fifo/centralized.h"

namespace corral::fifo {

using central::Entry;

absl::Span<const OptionSpec> CentralizedOptionTable() {
  static constexpr OptionSpec kTable[] = {
      {.name = "slice",
       .type = OptionType::kDuration,
       .default_value = "10ms",
       .min = "10us",
       .max = "10s",
       .help = "For how long a task keeps a CPU that another one waits for."},
  };
  return kTable;
}

CentralizedOptions ReadCentralizedOptions(const OptionValues& values) {
  return {.slice = values.GetDuration("slice")};
}

void CentralizedFifo::Schedule(Time now, EnclaveTransaction& txn) {
  scheduled_at_ = now;
  Begin(txn, now);
  Serve(queue_, [&](const Entry& running, const Entry&) { return SliceOver(running, now); });
}

Time CentralizedFifo::NextDeadline() const {
  if (queue_.empty()) return Time::max();
  return board_.NextSliceEnd(0, scheduled_at_, options_.slice);
}

}  // namespace corral::fifo
