// SPDX-License-Identifier: Apache-2.0
// Shinjuku: requests of a few microseconds and of many milliseconds side by side, without the short
// ones waiting for the long ones; and what CPUs are left over goes to batch tasks.
//
// Two classes. The latency class is served first in, first out, and a task keeps a CPU that another
// one of them waits for only for a slice of some microseconds. A batch task has a CPU that no task
// of the latency class wants, and gives way to one at once (Shenango's sharing). Which class a task
// is in, its weight tells, in which its nice value counts: from nice 4 on it is a batch task. And
// of any other thread its process may hint that it is one at the moment (agent/hints).
//
// Between two requests a CPU idles for a microsecond or two, in which the agent hears that the one
// has ended and says who is next. So batch tasks are offered to CPUs that idle: the class starts
// them without asking. When the latency class has nearly all of the CPUs, the messages about that
// are too much for the agent, and it alone starts batch tasks.
//
// Source: SOSP'21 section 4.2, after Shinjuku (NSDI'19) and Shenango (NSDI'19). Units: ns. Thread
// rules: as agent/runtime/policy.h says.
#ifndef CORRAL_POLICIES_SHINJUKU_POLICY_H_
#define CORRAL_POLICIES_SHINJUKU_POLICY_H_

#include "absl/types/span.h"
#include "agent/hints/hint_tables.h"
#include "agent/runtime/options.h"
#include "policies/central/queue_policy.h"
#include "policies/shinjuku/load_meter.h"

namespace corral::shinjuku {

struct Options {
  Duration slice = std::chrono::microseconds(30);
  Duration batch_slice = std::chrono::milliseconds(10);
  uint32_t batch_weight = 50;  // up to this, a task is of the batch class
  int batch_until = 95;        // percent of the CPUs' time that the latency class has
};

absl::Span<const OptionSpec> OptionTable();
// `values` were validated against OptionTable().
Options ReadOptions(const OptionValues& values);

class ShinjukuPolicy final : public central::QueuePolicy {
 public:
  // `hints`, if there are any, must outlive the policy.
  ShinjukuPolicy(const Topology& topology, uint32_t nr_slots, const Options& options,
                 const HintTables* hints)
      : QueuePolicy(topology, nr_slots), options_(options), hints_(hints), load_(kLoadWindow) {}

  void Schedule(Time now, EnclaveTransaction& txn) override;
  Time NextDeadline() const override;

 private:
  enum Rank { kLatency, kBatch };
  static constexpr Duration kLoadWindow = std::chrono::milliseconds(10);
  // How long a batch task that waits may be hinted to be none until that is seen.
  static constexpr Duration kLookAtWaiting = std::chrono::milliseconds(1);

  bool AnyHints() const { return hints_ != nullptr && hints_->any(); }
  void ReadHints(Time now);
  int RankOf(const Task& task) const override {
    if (task.weight <= options_.batch_weight) return kBatch;
    return AnyHints() && hints_->Of(task.tgid, task.tid) == Hint::kBatch ? kBatch : kLatency;
  }
  Offer OfferOf(int rank) const override {
    const bool offered = rank == kBatch && load_.percent() <= options_.batch_until;
    return offered ? Offer::kMachine : Offer::kNone;
  }
  Duration Slice(int rank) const override {
    return rank == kBatch ? options_.batch_slice : options_.slice;
  }
  central::Queue& QueueOf(int rank) override { return rank == kBatch ? batch_ : latency_; }

  const Options options_;
  const HintTables* const hints_;
  central::Queue latency_;
  central::Queue batch_;
  LoadMeter load_;  // of the latency class
  Time look_at_waiting_{};
  Time scheduled_at_{};
};

}  // namespace corral::shinjuku

#endif  // CORRAL_POLICIES_SHINJUKU_POLICY_H_
