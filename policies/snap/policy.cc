// SPDX-License-Identifier: Apache-2.0
#include "policies/snap/policy.h"

#include <algorithm>

namespace corral::snap {

using central::Entry;

absl::Span<const OptionSpec> OptionTable() {
  static constexpr OptionSpec kTable[] = {
      {.name = "slice",
       .type = OptionType::kDuration,
       .default_value = "1ms",
       .min = "10us",
       .max = "10s",
       .help = "For how long a worker keeps a CPU that another one waits for."},
      {.name = "batch_slice",
       .type = OptionType::kDuration,
       .default_value = "10ms",
       .min = "10us",
       .max = "10s",
       .help = "For how long a batch task keeps a CPU that another one waits for."},
      {.name = "batch_weight",
       .type = OptionType::kInt,
       .default_value = "50",
       .min = "0",
       .max = "10000",
       .help = "Tasks of at most this weight are batch tasks, the others workers."},
  };
  return kTable;
}

Options ReadOptions(const OptionValues& values) {
  return {.slice = values.GetDuration("slice"),
          .batch_slice = values.GetDuration("batch_slice"),
          .batch_weight = static_cast<uint32_t>(values.GetInt("batch_weight"))};
}

void SnapPolicy::Schedule(Time now, EnclaveTransaction& txn) {
  scheduled_at_ = now;
  Begin(txn, now);
  Serve(workers_, [&](const Entry& running, const Entry&) {
    return running.rank == kBatch || SliceOver(running, now);
  });
  Serve(batch_, [&](const Entry& running, const Entry&) {
    return running.rank == kBatch && SliceOver(running, now);
  });
  TakeBack(txn);
}

// Whoever waits behind a thread of another class gets in line once it has lost its CPU.
void SnapPolicy::TakeBack(EnclaveTransaction& txn) const {
  for (int c = 0; c < txn.nr_cores(); ++c) {
    for (int i = 0; i < txn.core(c).nr_siblings(); ++i) {
      const Entry* const entry = board_.at(c, i);
      const bool kept = txn.core(c).sibling(i).target == CoreTransaction::Target::kKeep;
      if (entry != nullptr && entry->rank == kWorker && entry->pauses() && kept) txn.Idle(c, i);
    }
  }
}

Time SnapPolicy::NextDeadline() const {
  Time next = Time::max();
  if (!workers_.empty()) next = board_.NextSliceEnd(kWorker, scheduled_at_, options_.slice);
  if (!batch_.empty())
    next = std::min(next, board_.NextSliceEnd(kBatch, scheduled_at_, options_.batch_slice));
  return next;
}

}  // namespace corral::snap
