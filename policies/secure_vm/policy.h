// SPDX-License-Identifier: Apache-2.0
// The secure VM policy: a physical core belongs to one trust domain at a time; vCPUs get what they
// were promised, and share the rest by weight.
//
// Two halves that share nothing but the class: placement.h decides, for the enclave, which core a
// vCPU lives on and what it is promised there; core_scheduler.h decides what a core runs.
// Source: SOSP'21 section 4.5 (secure VM core scheduling), with partitioned EDF.
//
// Thread rules: as agent/runtime/policy.h says.
#ifndef CORRAL_POLICIES_SECURE_VM_POLICY_H_
#define CORRAL_POLICIES_SECURE_VM_POLICY_H_

#include <algorithm>
#include <memory>
#include <vector>

#include "agent/runtime/policy.h"
#include "agent/runtime/topology.h"
#include "policies/secure_vm/core_scheduler.h"
#include "policies/secure_vm/ledger.h"
#include "policies/secure_vm/placement.h"
#include "policies/secure_vm/rebalancing.h"

namespace corral::secure_vm {

struct Options {
  // How long a domain keeps a core that others wait for, and a vCPU a sibling that others of its
  // domain wait for.
  Duration tenure = std::chrono::milliseconds(10);
  // For so long it keeps the core whoever waits.
  Duration min_tenure = std::chrono::milliseconds(2);
  // What admission takes a change of the core's domain to cost.
  Duration hand_over = std::chrono::microseconds(20);
  // Of each core, not to be promised: what the host, interrupts and agents may take.
  int reserve_percent = 5;
  // Who may take vCPUs without being told.
  Offer sharing = Offer::kMachine;
  // Domains have their turns on several cores at the same time.
  bool co_running = false;
  // Weights hold in each NUMA node, and vCPUs move for it. Off in tests that need them to stay.
  bool rebalancing = true;
};

class SecureVmPolicy final : public PerCorePolicy {
 public:
  SecureVmPolicy(const Topology& topology, uint32_t nr_slots, const Options& options)
      : topology_(topology),
        tenures_{.shortest = std::min(options.min_tenure, options.tenure),
                 .longest = options.tenure,
                 .hand_over = options.hand_over,
                 .reserve_percent = options.reserve_percent},
        sharing_(options.sharing),
        co_running_(options.co_running),
        rebalances_(options.rebalancing && !options.co_running),
        placement_(topology, {.min_tenure = tenures_.shortest,
                              .hand_over = options.hand_over,
                              .reserve_percent = options.reserve_percent}),
        ledger_(topology.nr_cores(), nr_slots),
        rebalancing_(topology_, tenures_.longest, nr_slots, ledger_),
        vcpus_(nr_slots) {}

  std::unique_ptr<CorePolicy> MakeCore(int core) override {
    return std::make_unique<CoreScheduler>(
        topology_, core, tenures_, sharing_, co_running_ ? &domain_cores_ : nullptr, ledger_,
        /*calls_lead=*/rebalances_ && rebalancing_.has_choice(core), vcpus_);
  }
  int PlaceTask(const PlacementRequest& task) override { return placement_.Choose(task); }
  CorePromise Judge(const PlacementRequest& task, int core) override {
    return placement_.Judge(task, core);
  }
  std::vector<TaskMove> MakeRoom(const PlacementRequest& task) override {
    return placement_.MakeRoom(task);
  }
  std::vector<TaskMove> Spread(Open open) override {
    return placement_.Spread(open, [&](int node) { return rebalancing_.balances(node); });
  }
  std::vector<TaskMove> Rebalance(Time now, Open open) override {
    return rebalancing_.Moves(now, open);
  }
  Time NextRebalance() const override { return rebalancing_.next(); }
  void TaskPlaced(const PlacementRequest& task, int core) override {
    placement_.Add(task, core);
    rebalancing_.Add(task, core);
  }
  void TaskUnplaced(const PlacementRequest& task, int core) override {
    placement_.Remove(task, core);
    rebalancing_.Remove(task, core);
  }

 private:
  const Topology topology_;
  const Tenures tenures_;
  const Offer sharing_;
  const bool co_running_;
  const bool rebalances_;
  DomainCores domain_cores_;
  Placement placement_;
  Ledger ledger_;
  Rebalancing rebalancing_;
  PerTask<Vcpu> vcpus_;
};

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_POLICY_H_
