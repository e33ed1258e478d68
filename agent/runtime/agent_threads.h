// SPDX-License-Identifier: Apache-2.0
// The agent process's threads: one per core of the enclave, each running that core's agent.
//
// A thread is pinned to its core's CPUs, or to the housekeeping CPUs, and asks for SCHED_FIFO so
// that what it schedules cannot hold it up. (One that spins goes elsewhere when others want its
// CPU: central_agents.cc.) Usage: Create, Start, wait on done_fd() or a signal,
// Stop, then read the counters. Threads: all calls from one thread.
#ifndef CORRAL_AGENT_RUNTIME_AGENT_THREADS_H_
#define CORRAL_AGENT_RUNTIME_AGENT_THREADS_H_

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "agent/runtime/agents.h"
#include "agent/runtime/enclave_state.h"
#include "kernel/cpu_set.h"

namespace corral {

class AgentThreads {
 public:
  struct Options {
    CpuSet housekeeping;  // empty: each thread on its own core
    int fifo_priority = 1;
  };

  // `state` and `agents` must outlive the result. ResourceExhausted: no event descriptor to be had.
  static absl::StatusOr<std::unique_ptr<AgentThreads>> Create(EnclaveState& state, Agents& agents,
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
  AgentThreads(EnclaveState& state, Agents& agents, const Options& options, int done_fd);
  void Main(int core);
  void Prepare(int core);
  void AwaitLead(int core, absl::FunctionRef<bool()> has_agent) const;
  absl::Status EnterWithPatience(int core);

  EnclaveState& state_;
  Agents& agents_;
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
