// SPDX-License-Identifier: Apache-2.0
// Snap: threads that move packets, beside batch tasks on the same CPUs. A worker that has packets
// gets a CPU at once, that of a batch task if there is no other; and one whose CPU a thread of
// another class took is moved to another one, instead of waiting until it has it back.
//
// Workers are served first in, first out; which tasks are workers, their weight tells. A batch task
// has a CPU that no worker wants.
//
// Source: SOSP'21 section 4.3, after Snap (SOSP'19), whose MicroQuanta is bandwidth of a CPU for
// each worker, with a blackout when it is used up. Units: ns. Thread rules: as
// agent/runtime/policy.h says.
#ifndef CORRAL_POLICIES_SNAP_POLICY_H_
#define CORRAL_POLICIES_SNAP_POLICY_H_

#include "absl/types/span.h"
#include "agent/runtime/options.h"
#include "policies/central/queue_policy.h"

namespace corral::snap {

struct Options {
  Duration slice = std::chrono::milliseconds(1);
  Duration batch_slice = std::chrono::milliseconds(10);
  uint32_t batch_weight = 50;  // up to this, a task is of the batch class
};

absl::Span<const OptionSpec> OptionTable();
// `values` were validated against OptionTable().
Options ReadOptions(const OptionValues& values);

class SnapPolicy final : public central::QueuePolicy {
 public:
  SnapPolicy(const Topology& topology, uint32_t nr_slots, const Options& options)
      : QueuePolicy(topology, nr_slots), options_(options) {}

  void Schedule(Time now, EnclaveTransaction& txn) override;
  Time NextDeadline() const override;

 private:
  enum Rank { kWorker, kBatch };

  int RankOf(const Task& task) const override {
    return task.weight <= options_.batch_weight ? kBatch : kWorker;
  }
  // A CPU that a worker leaves need not wait for the agent; one that is idle then would cost the
  // next worker the caches that it left elsewhere.
  Offer OfferOf(int rank) const override { return rank == kBatch ? Offer::kMachine : Offer::kNone; }
  Duration Slice(int rank) const override {
    return rank == kBatch ? options_.batch_slice : options_.slice;
  }
  central::Queue& QueueOf(int rank) override { return rank == kBatch ? batch_ : workers_; }
  void TakeBack(EnclaveTransaction& txn) const;

  const Options options_;
  central::Queue workers_;
  central::Queue batch_;
  Time scheduled_at_{};
};

}  // namespace corral::snap

#endif  // CORRAL_POLICIES_SNAP_POLICY_H_
