// SPDX-License-Identifier: Apache-2.0
// First in, first out, for a whole enclave: one queue, and a CPU that is free takes the task that
// has waited longest of those that may use it.
//
// A task runs until it blocks, or until its slice is over while another one waits that could have
// its CPU; then it goes to the end of the queue. Source: ghOSt's centralized FIFO.
//
// Units: ns. Thread rules: as agent/runtime/policy.h says.
#ifndef CORRAL_POLICIES_FIFO_CENTRALIZED_H_
#define CORRAL_POLICIES_FIFO_CENTRALIZED_H_

#include "absl/types/span.h"
#include "agent/runtime/options.h"
#include "policies/central/queue_policy.h"

namespace corral::fifo {

struct CentralizedOptions {
  // For how long a task keeps a CPU that another one waits for.
  Duration slice = std::chrono::milliseconds(10);
};

absl::Span<const OptionSpec> CentralizedOptionTable();
// `values` were validated against CentralizedOptionTable().
CentralizedOptions ReadCentralizedOptions(const OptionValues& values);

class CentralizedFifo final : public central::QueuePolicy {
 public:
  CentralizedFifo(const Topology& topology, uint32_t nr_slots, const CentralizedOptions& options)
      : QueuePolicy(topology, nr_slots), options_(options) {}

  void Schedule(Time now, EnclaveTransaction& txn) override;
  Time NextDeadline() const override;

 private:
  Duration Slice(int) const override { return options_.slice; }
  central::Queue& QueueOf(int) override { return queue_; }

  const CentralizedOptions options_;
  central::Queue queue_;
  Time scheduled_at_{};
};

}  // namespace corral::fifo

#endif  // CORRAL_POLICIES_FIFO_CENTRALIZED_H_
