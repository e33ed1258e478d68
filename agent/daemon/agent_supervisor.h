// SPDX-License-Identifier: Apache-2.0
// Keeps an agent on an enclave: finds the one that serves it, starts one where none does, starts it
// again when it dies, and replaces it in place by one with another policy.
//
// Which agent serves is the class's knowledge, not ours, so a restarted daemon adopts what runs.
// Between an agent's death and its successor the class schedules the enclave itself. Used from one
// thread; call Poll() a few times a second.
#ifndef CORRAL_AGENT_DAEMON_AGENT_SUPERVISOR_H_
#define CORRAL_AGENT_DAEMON_AGENT_SUPERVISOR_H_

#include <string>

#include "agent/daemon/agent_launcher.h"
#include "agent/events/news.h"
#include "kernel/ghost_kernel.h"

namespace corral {

class AgentSupervisor {
 public:
  // `kernel` must outlive the supervisor.
  AgentSupervisor(ControlKernel& kernel, AgentSpec spec);

  // Starts or restarts the agent if that is due. Returns what happened, as a line for the log;
  // without text if nothing did.
  News Poll(Time now);

  // All cores of the enclave have an agent.
  bool Serving() const;
  const AgentSpec& spec() const { return spec_; }

  // An agent that an earlier daemon started may run another policy, or by other options, than the
  // spec has: then it is replaced. If that fails, it goes on, and the status says why.
  absl::Status MatchSpec();

  // Puts an agent made from `spec` in the place of the present one. The new one is up before the
  // old one leaves; if it dies, or does not take over within kTakeover, the old policy comes back
  // and the status says why. Blocks until the switch is done.
  absl::Status SwitchTo(const AgentSpec& spec);

 private:
  // How many starts within kWindow are tolerated before the next one has to wait.
  static constexpr int kBurst = 5;
  static constexpr Duration kWindow = std::chrono::seconds(10);
  // How long a new agent is watched before the old one leaves, and how long it may then take.
  static constexpr Duration kProbation = std::chrono::milliseconds(500);
  static constexpr Duration kTakeover = std::chrono::seconds(10);

  absl::StatusOr<std::string> Launch(Time now);
  absl::StatusOr<pid_t> StartProcess(const AgentSpec& spec);
  News Tell(Event event, std::string text) const;
  // A thread that serves a core of the enclave; 0: none.
  pid_t ServingThread() const;
  bool ServedBy(pid_t process) const;
  absl::Status AwaitTakeover(pid_t successor) const;
  void EndProcess(pid_t process, int signal);

  ControlKernel& kernel_;
  AgentSpec spec_;
  Fd hints_;  // each agent that it starts listens on the same
  pid_t child_ = 0;
  Time window_begin_{};
  int starts_in_window_ = 0;
};

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_AGENT_SUPERVISOR_H_
