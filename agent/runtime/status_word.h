// SPDX-License-Identifier: Apache-2.0
// Reading a status word, and an affinity, that the class writes meanwhile.
//
// The class writes the flags before the barrier, and the message after both. So a copy made here is
// at least as new as its barrier says, and whatever is newer than its barrier still has its message
// to come. An affinity is written before its message too: one that changes while it is copied is
// read again. No allocation, no system call; any thread.
#ifndef CORRAL_AGENT_RUNTIME_STATUS_WORD_H_
#define CORRAL_AGENT_RUNTIME_STATUS_WORD_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>

#include "kernel/abi/ghost.h"
#include "kernel/cpu_set.h"
#include "kernel/types.h"

namespace corral {

// Each field is loaded once per try; a barrier that stood still in between makes the copy
// consistent. Loads that acquire keep the second look at it behind them all: a fence would too, but
// the thread sanitizer knows none.
inline ghost_status_word ReadStatusWord(const ghost_status_word& shared) {
  ghost_status_word copy{};
  for (int attempt = 0; attempt < 4; ++attempt) {
    copy.barrier = __atomic_load_n(&shared.barrier, __ATOMIC_ACQUIRE);
    copy.gtid = __atomic_load_n(&shared.gtid, __ATOMIC_ACQUIRE);
    copy.runtime_ns = __atomic_load_n(&shared.runtime_ns, __ATOMIC_ACQUIRE);
    copy.switch_time_ns = __atomic_load_n(&shared.switch_time_ns, __ATOMIC_ACQUIRE);
    copy.flags = __atomic_load_n(&shared.flags, __ATOMIC_ACQUIRE);
    copy.cpu = __atomic_load_n(&shared.cpu, __ATOMIC_ACQUIRE);
    copy.tid = __atomic_load_n(&shared.tid, __ATOMIC_ACQUIRE);
    copy.tgid = __atomic_load_n(&shared.tgid, __ATOMIC_ACQUIRE);
    copy.domain = __atomic_load_n(&shared.domain, __ATOMIC_ACQUIRE);
    copy.enclave = __atomic_load_n(&shared.enclave, __ATOMIC_ACQUIRE);
    copy.queue = __atomic_load_n(&shared.queue, __ATOMIC_ACQUIRE);
    copy.weight = __atomic_load_n(&shared.weight, __ATOMIC_ACQUIRE);
    copy.priority = __atomic_load_n(&shared.priority, __ATOMIC_ACQUIRE);
    copy.budget_ns = __atomic_load_n(&shared.budget_ns, __ATOMIC_ACQUIRE);
    copy.period_ns = __atomic_load_n(&shared.period_ns, __ATOMIC_ACQUIRE);
    copy.cap_ns = __atomic_load_n(&shared.cap_ns, __ATOMIC_ACQUIRE);
    copy.cap_period_ns = __atomic_load_n(&shared.cap_period_ns, __ATOMIC_ACQUIRE);
    copy.node = __atomic_load_n(&shared.node, __ATOMIC_ACQUIRE);
    copy.vcpu = __atomic_load_n(&shared.vcpu, __ATOMIC_ACQUIRE);
    copy.place = __atomic_load_n(&shared.place, __ATOMIC_ACQUIRE);
    copy.granted_ns = __atomic_load_n(&shared.granted_ns, __ATOMIC_ACQUIRE);
    copy.free_ns = __atomic_load_n(&shared.free_ns, __ATOMIC_ACQUIRE);
    copy.offer = __atomic_load_n(&shared.offer, __ATOMIC_ACQUIRE);
    if (__atomic_load_n(&shared.barrier, __ATOMIC_RELAXED) == copy.barrier) break;
  }
  return copy;
}

// The task's CPU time until `now`, with the stint that goes on: whoever has a CPU without end adds
// to the word's own figure when it leaves it. In this order, as the class asks for.
inline Duration ReadRuntime(const ghost_status_word& shared, Time now) {
  const uint64_t runtime = __atomic_load_n(&shared.runtime_ns, __ATOMIC_ACQUIRE);
  const uint64_t since = __atomic_load_n(&shared.on_since_ns, __ATOMIC_ACQUIRE);
  const Duration stint = since == 0 ? Duration(0) : now.time_since_epoch() - FromNs(since);
  return FromNs(runtime) + std::max(stint, Duration(0));
}

// What agents tell of a task's waits: each figure by itself only grows.
inline ghost_waits ReadWaits(const ghost_waits& shared) {
  ghost_waits copy{};
  for (size_t i = 0; i < std::size(copy.ns); ++i)
    copy.ns[i] = __atomic_load_n(&shared.ns[i], __ATOMIC_RELAXED);
  copy.missed_ns = __atomic_load_n(&shared.missed_ns, __ATOMIC_RELAXED);
  copy.missed = __atomic_load_n(&shared.missed, __ATOMIC_RELAXED);
  return copy;
}

inline CpuSet ReadAffinity(const ghost_affinity& shared) {
  std::array<uint64_t, GHOST_AFFINITY_WORDS> words{};
  for (size_t i = 0; i < words.size(); ++i)
    words[i] = __atomic_load_n(&shared.cpus[i], __ATOMIC_RELAXED);
  return CpuSet::FromWords(words);
}

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_STATUS_WORD_H_
