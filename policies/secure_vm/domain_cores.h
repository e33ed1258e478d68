// SPDX-License-Identifier: Apache-2.0
// On how many cores each domain has vCPUs: all that the schedulers of an enclave's cores know of
// each other, so that they give the cores to the same domain at the same time (core_scheduler.h).
//
// Any thread. A count that is out of date costs a turn that is not in step, nothing else.
#ifndef CORRAL_POLICIES_SECURE_VM_DOMAIN_CORES_H_
#define CORRAL_POLICIES_SECURE_VM_DOMAIN_CORES_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "kernel/abi/core_word.h"
#include "kernel/types.h"

namespace corral::secure_vm {

class DomainCores {
 public:
  DomainCores() : cores_(CORE_WORD_MAX_DOMAIN + 1) {}

  void Add(DomainId domain) { Of(domain).fetch_add(1, std::memory_order_relaxed); }
  void Remove(DomainId domain) { Of(domain).fetch_sub(1, std::memory_order_relaxed); }
  int Count(DomainId domain) const {
    return cores_[domain.value() & CORE_WORD_MAX_DOMAIN].load(std::memory_order_relaxed);
  }

 private:
  std::atomic<uint16_t>& Of(DomainId domain) {
    return cores_[domain.value() & CORE_WORD_MAX_DOMAIN];
  }

  std::vector<std::atomic<uint16_t>> cores_;
};

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_DOMAIN_CORES_H_
