// SPDX-License-Identifier: Apache-2.0
// The agent process's threads: one per core of the enclave, each driving its PerCoreLoop.
//
// A thread is pinned to its core's CPUs, or to the housekeeping CPUs, and asks for SCHED_FIFO so
// that what it schedules cannot hold it up. Usage: Create, Start, wait on done_fd() or a signal,
// Stop, then read the counters. Threads: all calls from one thread.
#ifndef CORRAL_AGENT_RUNTIME_AGENT_THREADS_H_
#define CORRAL_AGENT_RUNTIME_AGENT_THREADS_H_

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/runtime/enclave_state.h"
#include "agent/runtime/lead.h"
#include "agent/runtime/per_core_loop.h"
#include "agent/runtime/policy.h"
#include "kernel/cpu_set.h"

namespace corral {

// The policy of an enclave and the loops that serve it. Tests step the loops themselves.
class PerCoreAgents {
 public:
  // `state` and `policy` must outlive the result.
  PerCoreAgents(EnclaveState& state, PerCorePolicy& policy);

  int nr_loops() const { return static_cast<int>(loops_.size()); }
  PerCoreLoop& loop(int core) { return *loops_[core]; }
  CorePolicy& core_policy(int core) { return *policies_[core]; }
  LoopCounters Totals() const;

 private:
  Lead lead_;
  std::vector<std::unique_ptr<CorePolicy>> policies_;
  std::vector<std::unique_ptr<PerCoreLoop>> loops_;
};

class AgentThreads {
 public:
  struct Options {
    CpuSet housekeeping;  // empty: each thread on its own core
    int fifo_priority = 1;
  };

  // `state` and `agents` must outlive the result. ResourceExhausted: no event descriptor to be had.
  static absl::StatusOr<std::unique_ptr<AgentThreads>> Create(EnclaveState& state,
                                                              PerCoreAgents& agents,
                                                              const Options& options);
  ~AgentThreads();  // stops

  // Starts the threads. A core that another agent still holds is waited for.
  void Start();
  // Ends all loops, leaves the cores to the class, joins. Returns the first error that ended a
  // loop.
  absl::Status Stop();

  // Readable once some loop has ended by itself.
  int done_fd() const { return done_fd_; }
  // What was asked for and not granted, one line each: for the log, after Start.
  std::vector<std::string> warnings() const;

 private:
  AgentThreads(EnclaveState& state, PerCoreAgents& agents, const Options& options, int done_fd);
  void Main(int core);
  void Prepare(int core);
  absl::Status EnterWithPatience(PerCoreLoop& loop);

  EnclaveState& state_;
  PerCoreAgents& agents_;
  const Options options_;
  const int done_fd_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> not_pinned_{false};
  std::atomic<bool> not_fifo_{false};
  std::vector<absl::Status> results_;
  std::vector<std::thread> threads_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_AGENT_THREADS_H_
