// SPDX-License-Identifier: Apache-2.0
// A domain on one core: its vCPUs there, what they were promised, and the domain's place among
// those that share the rest of the core by weight. One thread.
#ifndef CORRAL_POLICIES_SECURE_VM_PEN_H_
#define CORRAL_POLICIES_SECURE_VM_PEN_H_

#include <memory>
#include <vector>

#include "agent/runtime/list.h"
#include "kernel/types.h"
#include "policies/secure_vm/gang_server.h"
#include "policies/secure_vm/vcpu.h"

namespace corral::secure_vm {

struct Pen {
  DomainId domain{0};
  int nr_vcpus = 0;
  int nr_running = 0;  // on siblings of this core, by our decision
  int nr_awake = 0;    // of its vCPUs, Vcpu::awake
  List<Vcpu, &Vcpu::waiting> waiting;
  List<Vcpu, &Vcpu::waiting> throttled;
  // A server per period that its vCPUs were promised something in. Those without members are used
  // again.
  std::vector<std::unique_ptr<GangServer>> servers;
  // Core time had beyond promises, by share: ns of a domain of weight 100.
  int64_t vtime = 0;
  int64_t least_vtime = 0;  // of its runnable vCPUs; only rises
  double share = 100;       // of the core: what its domain's weight counts here
  bool woke = false;        // and vtime does not say yet what it may catch up with
  bool rested = false;      // it slept, and has not had the core since
  ListHook<Pen> ring;

  // What the ledger does not know yet: core time had beyond promises, and wanted until wanted_at.
  Duration had{0};
  Duration wanted{0};
  Time wanted_at{};

  bool runnable() const { return nr_running > 0 || !waiting.empty(); }
  // Of the servers that are active, the one with the earliest deadline.
  GangServer* Due() const;
  // The server for the period; may allocate.
  GangServer& ServerOf(Duration period, const GangTerms& terms);
  void Enqueue(Vcpu& vcpu, bool front);
  void Dequeue(Vcpu& vcpu);
  // Brings `wanted` up to `now`: a crowded domain wants more than the core.
  void CountWanted(Time now, int nr_siblings);
};

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_PEN_H_
