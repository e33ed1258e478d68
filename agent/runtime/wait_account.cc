// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/wait_account.h"

#include <algorithm>

namespace corral {

CpuClocks ReadClocks(const ghost_cpu_state& cpu, Time now) {
  CpuClocks clocks;
  for (int attempt = 0; attempt < 4; ++attempt) {
    const uint64_t since = __atomic_load_n(&cpu.taken_since_ns, __ATOMIC_ACQUIRE);
    const uint32_t taken = __atomic_load_n(&cpu.taken, __ATOMIC_RELAXED);
    clocks.host = FromNs(__atomic_load_n(&cpu.host_ns, __ATOMIC_RELAXED));
    clocks.agent = FromNs(__atomic_load_n(&cpu.agent_ns, __ATOMIC_ACQUIRE));
    if (__atomic_load_n(&cpu.taken_since_ns, __ATOMIC_RELAXED) != since) continue;
    const Duration present = std::max(now.time_since_epoch() - FromNs(since), Duration(0));
    if (taken == GHOST_CPU_BY_HOST) clocks.host += present;
    if (taken == GHOST_CPU_BY_AGENT) clocks.agent += present;
    break;
  }
  return clocks;
}

void WaitAccount::Add(ghost_wait why, Duration time) {
  if (time > Duration(0)) sum_.ns[why] += static_cast<uint64_t>(time.count());
}

void WaitAccount::Wait(Time since, Time now) {
  if (state_ == State::kWaits) return;
  Add(GHOST_WAIT_AGENT, now - since);
  state_ = State::kWaits;
  why_ = GHOST_WAIT_TURN;
  since_ = now;
}

void WaitAccount::Because(ghost_wait why, Time now) {
  if (state_ != State::kWaits) return;
  Add(why_, now - since_);
  why_ = why;
  since_ = std::max(since_, now);
}

void WaitAccount::Give(Time at, Duration runtime, const CpuClocks& clocks) {
  if (state_ == State::kHasCpu) return;
  if (state_ == State::kWaits) Add(why_, at - since_);
  // Until since_ it seemed to wait for its agent.
  const Duration too_much = state_ == State::kWaits ? since_ - at : Duration(0);
  if (too_much > Duration(0)) {
    auto& sum = sum_.ns[GHOST_WAIT_AGENT];
    sum -= std::min(sum, static_cast<__u64>(too_much.count()));
  }
  state_ = State::kHasCpu;
  since_ = at;
  ran_ = runtime;
  clocks_ = clocks;
}

// The clocks are read a little later than the runtime, so of what is lost they explain at most all.
void WaitAccount::Settle(Time at, Duration runtime, const CpuClocks& clocks) {
  if (state_ != State::kHasCpu) return;
  const Duration lost = (at - since_) - (runtime - ran_);
  if (lost <= Duration(0)) return;  // for the next time: it ran ahead
  const Duration host = std::clamp(clocks.host - clocks_.host, Duration(0), lost);
  const Duration agent = std::clamp(clocks.agent - clocks_.agent, Duration(0), lost - host);
  Add(GHOST_WAIT_HOST, host);
  Add(GHOST_WAIT_AGENT, agent);
  Add(GHOST_WAIT_HAND_OVER, lost - host - agent);
  since_ = at;
  ran_ = runtime;
  clocks_ = clocks;
}

void WaitAccount::Rest(Time at) {
  if (state_ == State::kWaits) Add(why_, at - since_);
  state_ = State::kRests;
}

void WaitAccount::Miss(Duration lacks, int64_t periods) {
  sum_.missed_ns += static_cast<__u64>(lacks.count());
  sum_.missed += static_cast<__u64>(periods);
}

ghost_waits WaitAccount::Pending(Time now) {
  Because(why_, now);
  return sum_;
}

}  // namespace corral
