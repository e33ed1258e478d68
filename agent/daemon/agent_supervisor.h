// SPDX-License-Identifier: Apache-2.0
// Keeps an agent on an enclave: finds the one that serves it, starts one where none does, starts it
// again when it dies, kills it when it hangs, and replaces it in place by one with another policy
// or of another build. One that does not do well in its first seconds makes way for its
// predecessor's like (switch_trial.h).
//
// Which agent serves is the class's knowledge, not ours, so a restarted daemon adopts what runs.
// Between an agent's death and its successor the class schedules the enclave itself. Used from one
// thread; call Poll() a few times a second.
#ifndef CORRAL_AGENT_DAEMON_AGENT_SUPERVISOR_H_
#define CORRAL_AGENT_DAEMON_AGENT_SUPERVISOR_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/daemon/agent_launcher.h"
#include "agent/daemon/switch_trial.h"
#include "agent/events/news.h"
#include "kernel/ghost_kernel.h"

namespace corral {

class AgentSupervisor {
 public:
  // `kernel` must outlive the supervisor.
  AgentSupervisor(ControlKernel& kernel, AgentSpec spec);

  // How long an agent that took over is on trial; 0: not at all. Of the next switch.
  void set_trial(Duration length) { trial_length_ = length; }

  // Starts or restarts the agent if that is due, and rolls a switch back if it turned out badly:
  // then spec() is another one. Returns what happened, as a line for the log; without text if
  // nothing did.
  News Poll(Time now);

  // All cores of the enclave have an agent.
  bool Serving() const;
  const AgentSpec& spec() const { return spec_; }

  // An agent that an earlier daemon started may run another policy, or by other options, than the
  // spec has, or come from a file that is not there any more, because a package was updated: then
  // it is replaced. If that fails, it goes on, and the status says why.
  absl::Status MatchSpec();

  // Puts an agent made from `spec` in the place of the present one. The new one is up before the
  // old one leaves; if it dies, or does not take over within kTakeover, the old policy comes back
  // and the status says why. Blocks until the switch is done; the trial is Poll()'s.
  absl::Status SwitchTo(const AgentSpec& spec);
  // Ends the agent; the next Poll() starts another one. `set_cores`: which those of the enclave are
  // by then.
  void Retire();
  void set_cores(std::vector<CoreId> cores) { spec_.cores = std::move(cores); }
  // Whether the agent that serves was started from the file that is at `program` now.
  bool IsFrom(const std::string& program) const;

 private:
  // How many starts within kWindow are tolerated before the next one has to wait.
  static constexpr int kBurst = 5;
  static constexpr Duration kWindow = std::chrono::seconds(10);
  // How long a new agent may take until it waits for the cores, and then until it has them.
  static constexpr Duration kPreparation = std::chrono::seconds(10);
  static constexpr Duration kTakeover = std::chrono::seconds(10);
  // How long one that was asked to leave may take until it is killed.
  static constexpr Duration kFarewell = std::chrono::seconds(5);
  // How long an agent may decide nothing, though tasks have waited until the class scheduled them,
  // and how often one is killed for that: another one may not do better.
  static constexpr Duration kHung = std::chrono::seconds(5);
  static constexpr Duration kKillsApart = std::chrono::seconds(20);

  absl::StatusOr<std::string> Launch(Time now);
  absl::StatusOr<pid_t> StartProcess(const AgentSpec& spec, const Fd& ready);
  absl::StatusOr<pid_t> StartSuccessor(const AgentSpec& spec);
  News Tell(Event event, std::string text) const;
  // A thread that serves a core of the enclave; 0: none.
  pid_t ServingThread() const;
  pid_t ServingProcess() const;
  // Why our child is no more, as the end of a sentence; "": it lives, or there is none.
  std::string Reap();
  FormerAgent Former() const;
  bool Hangs(Time now) const;
  News RollBack(absl::string_view why, Time now);
  bool ServedBy(pid_t process) const;
  absl::Status AwaitTakeover(pid_t successor) const;
  // Asks it to leave, and does not take no for an answer.
  void EndProcess(pid_t process);

  ControlKernel& kernel_;
  AgentSpec spec_;
  Fd hints_;  // each agent that it starts listens on the same
  pid_t child_ = 0;
  absl::Status scope_;  // why the last one that was started is in no unit of its own
  Fd program_;  // what spec_.program is read from after a rollback to a file that was replaced
  Duration trial_length_{0};
  std::optional<SwitchTrial> trial_;
  std::optional<Time> killed_at_;
  Time window_begin_{};
  int starts_in_window_ = 0;
};

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_AGENT_SUPERVISOR_H_
