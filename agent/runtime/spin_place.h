// SPDX-License-Identifier: Apache-2.0
// Where the agent of a whole enclave spins: on one CPU, until somebody else wants that.
//
// It leaves when a thread of another scheduling class waits for the CPU, or a task that can run
// nowhere else, and goes where it disturbs least: at once, unless it has just come (kLeastStay).
// Where every other CPU is wanted as well, it stays for kSharedStay before it goes on to the next
// one. So it does not only move, and nobody waits for a CPU for longer than that. And it stays
// nowhere longer than `longest_stay`, because some kernels take a CPU from a SCHED_FIFO thread that
// has had it for 95 % of a second (sched_rt_runtime_us). Source: ghOSt's hand-over of the global
// agent (SOSP'21, section 3.3), which is to another thread there; here the one thread moves, so
// that no state and no decision changes hands.
//
// Decides only; whoever owns the thread binds it. No allocation after the construction. One thread.
#ifndef CORRAL_AGENT_RUNTIME_SPIN_PLACE_H_
#define CORRAL_AGENT_RUNTIME_SPIN_PLACE_H_

#include <vector>

#include "absl/functional/function_ref.h"
#include "agent/runtime/topology.h"
#include "kernel/cpu_set.h"
#include "kernel/types.h"

namespace corral {

class SpinPlace {
 public:
  // What a CPU is used for, the agent apart.
  struct Use {
    bool online = true;
    bool by_host = false;  // threads of other scheduling classes have it, or wait for it
    bool needed = false;   // a task waits that can run nowhere else
    bool by_task = false;  // a task of the class has it
    bool beside = false;   // a sibling works
  };
  using Look = absl::FunctionRef<Use(CpuId)>;

  // `cpus` are those that it may spin on; `topology` tells which of them are near each other.
  SpinPlace(const CpuSet& cpus, const Topology& topology, Duration longest_stay);

  CpuId cpu() const { return cpu_; }  // CpuId(-1) before the first Choose
  // Stays, or goes elsewhere: true if it went.
  bool Choose(Time now, Look look);
  // The thread could not be bound to where it should be; it is tried again much later.
  void Refused(Time now);
  uint64_t moves() const { return moves_; }

 private:
  struct Candidate {
    CpuId cpu;
    int l3 = -1;
    Time left{};           // when it was there last
    Time refused_until{};  // see Refused()
  };

  int Best(Time now, Look look) const;
  void Go(int candidate, Time now);

  std::vector<Candidate> candidates_;
  const Duration longest_stay_;
  CpuId cpu_{-1};
  int at_ = -1;  // in candidates_
  Time since_{};
  uint64_t moves_ = 0;
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_SPIN_PLACE_H_
