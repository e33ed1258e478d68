// SPDX-License-Identifier: Apache-2.0
// What one loop counts. Written by its thread only; read after the thread has ended, or by the test
// that steps the loop.
#ifndef CORRAL_AGENT_RUNTIME_COUNTERS_H_
#define CORRAL_AGENT_RUNTIME_COUNTERS_H_

#include <array>
#include <cstdint>
#include <string>

#include "kernel/abi/ghost.h"

namespace corral {

struct LoopCounters {
  uint64_t steps = 0;
  uint64_t messages = 0;
  uint64_t stale_messages = 0;      // of events that a status word had told already
  uint64_t forwarded_messages = 0;  // for tasks of another loop
  uint64_t malformed_messages = 0;
  uint64_t adopted = 0;   // tasks taken over: placed here, moved here, or discovered
  uint64_t released = 0;  // tasks that died or departed
  uint64_t given = 0;     // tasks handed to another core
  uint64_t association_failures = 0;
  uint64_t commits = 0;  // transactions that latched
  uint64_t failed_commits = 0;
  std::array<uint64_t, GHOST_TXN_POISONED + 2>
      commit_states{};  // by sibling; the last counts unknown ones
  uint64_t failed_calls = 0;
  uint64_t latch_failures = 0;
  uint64_t parked = 0;
  uint64_t overflows = 0;  // of the queue: each made the loop rescan
  uint64_t rescans = 0;
  uint64_t reentered = 0;  // it had to become the agent of its core again
  uint64_t repairs = 0;    // the self-check found a task that would have been lost: must stay 0

  LoopCounters& operator+=(const LoopCounters& other);
  // "name=value name=value ..."; zeros are left out, but for repairs.
  std::string Format() const;
};

// "TARGET_STALE" for GHOST_TXN_TARGET_STALE, and so on; "?" for what the ABI does not know.
const char* TxnStateName(uint32_t state);

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_COUNTERS_H_
