// SPDX-License-Identifier: Apache-2.0
// What cores tell the lead about the vCPUs that live on them, and what the lead answers, so that a
// domain has its share of a NUMA node and not of each core (rebalancing.h).
//
// An entry per vCPU, by slot. Core time is a domain's on a core: it is told once, in the entry of
// one of its vCPUs there, and the lead adds it up. It only rises.
//
// Thread rules: the core that a vCPU lives on writes what it had and how it is, the lead its part.
// Anybody reads. Nothing blocks, and nothing allocates after construction. What is read may be a
// moment old, which costs a little fairness for a moment and nothing else. Units: ns.
#ifndef CORRAL_POLICIES_SECURE_VM_LEDGER_H_
#define CORRAL_POLICIES_SECURE_VM_LEDGER_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "kernel/types.h"

namespace corral::secure_vm {

class Ledger {
 public:
  struct Entry {
    std::atomic<int64_t> had{0};     // core time, beyond what was promised
    std::atomic<int64_t> wanted{0};  // and what that could have been, had there been nobody else
    std::atomic<uint32_t> weight{100};
    std::atomic<bool> awake{false};  // runnable, and wants time of this core or one beside
    std::atomic<float> part{1};      // of its domain's weight, that counts on this core
  };
  struct PerCore {
    std::atomic<int64_t> promised{0};  // core time that kept promises
    // What is told is of that time. Since then the core has been its holder's, for promises until
    // `free`; while nothing happens, nothing is told.
    std::atomic<Time> told{Time()};
    std::atomic<Time> free{Time()};
    std::atomic<uint32_t> holder{kNobody};  // the slot of one of its vCPUs
    std::atomic<DomainId> domain{DomainId(0)};
  };
  static constexpr uint32_t kNobody = ~uint32_t{0};

  Ledger(int nr_cores, uint32_t nr_slots) : entries_(nr_slots), cores_(nr_cores) {}

  Entry& of(uint32_t slot) { return entries_[slot]; }
  PerCore& core(int core) { return cores_[core]; }

  static void Add(std::atomic<int64_t>& to, Duration time) {
    to.fetch_add(time.count(), std::memory_order_relaxed);
  }

  // Whether the lead looks at this from time to time. The first core on which domains wait calls
  // it; true if that is the caller.
  bool CallLead() { return !watched() && !watched_.exchange(true, std::memory_order_relaxed); }
  void SetWatched(bool watched) { watched_.store(watched, std::memory_order_relaxed); }
  bool watched() const { return watched_.load(std::memory_order_relaxed); }

 private:
  std::vector<Entry> entries_;
  std::vector<PerCore> cores_;
  std::atomic<bool> watched_{false};
};

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_LEDGER_H_
