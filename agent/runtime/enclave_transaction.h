// SPDX-License-Identifier: Apache-2.0
// What shall run on the CPUs of a whole enclave from now on: a CoreTransaction for each core that
// is to change. Committed in one call, of which each core's part succeeds or fails for itself.
//
// Cores are positions in the enclave's topology. Nothing here allocates after the construction. One
// thread.
#ifndef CORRAL_AGENT_RUNTIME_ENCLAVE_TRANSACTION_H_
#define CORRAL_AGENT_RUNTIME_ENCLAVE_TRANSACTION_H_

#include <vector>

#include "agent/runtime/topology.h"
#include "agent/runtime/transaction.h"

namespace corral {

class EnclaveTransaction {
 public:
  explicit EnclaveTransaction(const Topology& topology) : cores_(topology.nr_cores()) {
    changed_.reserve(cores_.size());
    for (int c = 0; c < topology.nr_cores(); ++c)
      cores_[c].Reset(topology.core(c).id, topology.core(c).nr_cpus, 0);
  }

  int nr_cores() const { return static_cast<int>(cores_.size()); }
  // What is proposed for the core; whether a sibling may be given work.
  const CoreTransaction& core(int core) const { return cores_[core]; }
  // CPUs that may be given work.
  int NrUsable() const {
    int usable = 0;
    for (const CoreTransaction& core : cores_) {
      for (int i = 0; i < core.nr_siblings(); ++i) usable += core.usable(i);
    }
    return usable;
  }
  // The cores for which something is proposed.
  const std::vector<int>& changed() const { return changed_; }

  void Idle(int core, int sibling) { Change(core).Idle(sibling); }
  // The task must be queued, and not proposed for another CPU.
  void Run(int core, int sibling, Task& task, Duration slice = Duration(0)) {
    Change(core).Run(sibling, task, slice);
  }

  // ---- for the loop ----

  // Everything KEEP.
  void Reset() {
    for (const int core : changed_) SetUsable(core, usable(core));
    changed_.clear();
  }
  // `siblings` has a bit for each that may be given work. Of cores that are not changed.
  void SetUsable(int core, uint32_t siblings) {
    cores_[core].Reset(cores_[core].core(), cores_[core].nr_siblings(), siblings);
  }
  uint32_t usable(int core) const {
    uint32_t siblings = 0;
    for (int i = 0; i < cores_[core].nr_siblings(); ++i)
      siblings |= (cores_[core].usable(i) ? 1u : 0u) << i;
    return siblings;
  }
  void ReadResults(int core, const ghost_core_txn& in) { cores_[core].ReadResults(in); }

 private:
  CoreTransaction& Change(int core) {
    if (cores_[core].empty()) changed_.push_back(core);
    return cores_[core];
  }

  std::vector<CoreTransaction> cores_;
  std::vector<int> changed_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_ENCLAVE_TRANSACTION_H_
