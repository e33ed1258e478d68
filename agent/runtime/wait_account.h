// SPDX-License-Identifier: Apache-2.0
// What one task waits for: every nanosecond that it could have run and did not; and what it missed
// of a promise meanwhile.
//
// While a task has no CPU, its policy says why, and the time goes to that. While it has one, what
// it did not run is known afterwards: others used the CPU, by the class's clocks, and the rest was
// spent on getting there. A value of one loop; no allocation. Units: ns, times of events where they
// are known.
#ifndef CORRAL_AGENT_RUNTIME_WAIT_ACCOUNT_H_
#define CORRAL_AGENT_RUNTIME_WAIT_ACCOUNT_H_

#include "kernel/abi/ghost.h"
#include "kernel/types.h"

namespace corral {

// How long others had a CPU, ever since the class was loaded (ghost_cpu_state).
struct CpuClocks {
  Duration host{0};
  Duration agent{0};
};

// The clocks as of `now`. The class writes them meanwhile.
CpuClocks ReadClocks(const ghost_cpu_state& cpu, Time now);

class WaitAccount {
 public:
  // It can run, and has no CPU, since `since`. Until now nobody had decided about it; from now on
  // it waits for its turn, unless Because says otherwise.
  void Wait(Time since, Time now);
  // What it has been waiting for ends; it goes on waiting for this. Nothing if it does not wait.
  void Because(ghost_wait why, Time now);
  // It was given a CPU, perhaps earlier than its agent heard of anything. `runtime` is what it had
  // run by then.
  void Give(Time at, Duration runtime, const CpuClocks& clocks);
  // It had a CPU until `at`, or has it still then. Nothing if it had none.
  void Settle(Time at, Duration runtime, const CpuClocks& clocks);
  // It does not want to run.
  void Rest(Time at);
  // Periods are over in which it had less than it was promised, though it wanted it throughout.
  void Miss(Duration lacks, int64_t periods);

  bool has_cpu() const { return state_ == State::kHasCpu; }
  // What is not published yet; Clear forgets it, once it is.
  ghost_waits Pending(Time now);
  void Clear() { sum_ = {}; }

 private:
  enum class State : uint8_t { kRests, kWaits, kHasCpu };

  void Add(ghost_wait why, Duration time);

  State state_ = State::kRests;
  ghost_wait why_ = GHOST_WAIT_TURN;
  Time since_{};
  Duration ran_{0};  // at since_, while it has a CPU
  CpuClocks clocks_;
  ghost_waits sum_{};
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_WAIT_ACCOUNT_H_
