// SPDX-License-Identifier: Apache-2.0
// The waits of an agent loop. None of them matters to a policy; they bound how long a doubt may
// last.
#ifndef CORRAL_AGENT_RUNTIME_LOOP_TIMING_H_
#define CORRAL_AGENT_RUNTIME_LOOP_TIMING_H_

#include <chrono>

#include "kernel/types.h"

namespace corral::loop_timing {

// Records against status words. A message lost without a sign is found within two of these.
inline constexpr Duration kSelfCheck = std::chrono::seconds(1);
// A status word may show a task on CPU that is just leaving: looked at again so often.
inline constexpr Duration kSettle = std::chrono::milliseconds(1);
inline constexpr int kSettleLooks = 3;
// A commit that failed for reasons that pass by themselves.
inline constexpr Duration kFirstBackoff = std::chrono::microseconds(50);
inline constexpr Duration kLastBackoff = std::chrono::milliseconds(10);
// Commits within one turn.
inline constexpr int kRounds = 4;
// A task that CPUs refuse this often in a row waits: 1, 2, 4 ... 64 ms.
inline constexpr int kRefusals = 3;
inline constexpr Duration kFirstParking = std::chrono::milliseconds(1);
inline constexpr int kParkingDoublings = 6;
// While a sibling is offline, whether it is back.
inline constexpr Duration kOffline = std::chrono::milliseconds(100);
// After tasks came or went, until others move because of them, and from one such move to the next.
inline constexpr Duration kSpread = std::chrono::milliseconds(50);
// For so long nobody is moved to a core that a task has left by itself: its CPUs may be offline.
inline constexpr Duration kShunned = std::chrono::seconds(60);
// An agent that spins looks whom it keeps waiting; its commits look as well.
inline constexpr Duration kLookAround = std::chrono::microseconds(100);
// It moves on at most so often.
inline constexpr Duration kLeastStay = std::chrono::milliseconds(1);
// It stays where others want the CPU, while they want every other one as well. No divisor of the
// class's own periods (ghost_guard.bpf.h): what the class does then would miss that CPU each time.
inline constexpr Duration kSharedStay = std::chrono::milliseconds(7);
// Of a SCHED_FIFO thread on one CPU; kernels may throttle it after 950 ms.
inline constexpr Duration kLongestStay = std::chrono::milliseconds(800);
// What waits on the CPU that it spins on is sent away again.
inline constexpr Duration kClearPlace = std::chrono::microseconds(50);
// Until a former agent of the core has left.
inline constexpr Duration kEnterRetry = std::chrono::milliseconds(10);
// Where it has left, until the lead's loop has begun.
inline constexpr Duration kAwaitLead = std::chrono::seconds(1);

}  // namespace corral::loop_timing

#endif  // CORRAL_AGENT_RUNTIME_LOOP_TIMING_H_
