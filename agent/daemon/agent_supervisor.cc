// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/agent_supervisor.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/views/running_agent.h"
#include "vmm-integration/qemu_process.h"

namespace corral {
namespace {

std::string HowItEnded(int status) {
  if (WIFSIGNALED(status))
    return absl::StrCat("was killed by signal ", WTERMSIG(status), " (",
                        strsignal(WTERMSIG(status)), ")");
  return absl::StrCat("exited with ", WEXITSTATUS(status));
}

}  // namespace

AgentSupervisor::AgentSupervisor(ControlKernel& kernel, AgentSpec spec)
    : kernel_(kernel), spec_(std::move(spec)) {}

pid_t AgentSupervisor::ServingThread() const {
  for (const CoreId core : spec_.cores) {
    const uint32_t tid = kernel_.cores()[core.value()].agent_tid;
    if (tid != 0) return static_cast<pid_t>(tid);
  }
  return 0;
}

bool AgentSupervisor::Serving() const {
  for (const CoreId core : spec_.cores) {
    if (kernel_.cores()[core.value()].agent_tid == 0) return false;
  }
  return true;
}

News AgentSupervisor::Tell(Event event, std::string text) const {
  return {event, std::move(text), {{"ENCLAVE", spec_.enclave}}};
}

News AgentSupervisor::Poll(Time now) {
  std::string ended;
  if (child_ != 0) {
    int status = 0;
    if (waitpid(child_, &status, WNOHANG) != child_) return "";
    ended = absl::StrCat("agent ", child_, " of enclave ", spec_.enclave, " ", HowItEnded(status),
                         "; the class schedules alone; ");
    child_ = 0;
  }
  const Event event = ended.empty() ? Event::kAgentStarted : Event::kAgentLost;
  // One that an earlier daemon started.
  if (ServingThread() != 0) return Tell(event, ended);
  if (now - window_begin_ > kWindow) {
    window_begin_ = now;
    starts_in_window_ = 0;
  }
  if (starts_in_window_ >= kBurst) {
    if (ended.empty()) return "";
    return Tell(event,
                absl::StrCat(ended, "it died ", kBurst,
                             " times in a row, the next start waits; see its messages above"));
  }
  const absl::StatusOr<std::string> launched = Launch(now);
  return launched.ok() ? Tell(event, absl::StrCat(ended, *launched))
                       : Tell(Event::kAgentLost, absl::StrCat(ended, launched.status().message()));
}

bool AgentSupervisor::ServedBy(pid_t process) const {
  for (const CoreId core : spec_.cores) {
    const uint32_t tid = kernel_.cores()[core.value()].agent_tid;
    if (tid == 0 || ProcessOf(static_cast<pid_t>(tid)) != process) return false;
  }
  return true;
}

absl::Status AgentSupervisor::AwaitTakeover(pid_t successor) const {
  for (const Time end = kernel_.Now() + kTakeover; kernel_.Now() < end; poll(nullptr, 0, 5)) {
    int status = 0;
    if (waitpid(successor, &status, WNOHANG) == successor)
      return absl::AbortedError(absl::StrCat("it ", HowItEnded(status)));
    if (ServedBy(successor)) return absl::OkStatus();
  }
  return absl::DeadlineExceededError("it did not take over");
}

void AgentSupervisor::EndProcess(pid_t process, int signal) {
  if (process <= 0) return;
  kill(process, signal);
  if (process == child_) {
    waitpid(process, nullptr, 0);
    child_ = 0;
  }
}

absl::Status AgentSupervisor::MatchSpec() {
  const pid_t serving = ServingThread();
  const absl::StatusOr<RunningAgent> running = IdentifyAgent(serving);
  // One that died just now will be replaced anyway.
  if (serving == 0 || !running.ok()) return absl::OkStatus();
  if (running->policy == spec_.policy &&
      (running->options_json.empty() || running->options_json == spec_.options_json))
    return absl::OkStatus();
  const AgentSpec wanted = spec_;
  spec_.policy = running->policy;
  spec_.options_json = running->options_json;
  return SwitchTo(wanted);
}

absl::Status AgentSupervisor::SwitchTo(const AgentSpec& spec) {
  const absl::StatusOr<pid_t> successor = StartProcess(spec);
  if (!successor.ok()) return successor.status();
  // It now waits for the cores. One that cannot even start must not cost the old one its place.
  for (const Time end = kernel_.Now() + kProbation; kernel_.Now() < end; poll(nullptr, 0, 5)) {
    int status = 0;
    if (waitpid(*successor, &status, WNOHANG) != *successor) continue;
    return absl::AbortedError(absl::StrCat("the new agent (", spec.policy, ") ", HowItEnded(status),
                                           "; policy ", spec_.policy, " goes on"));
  }
  const pid_t serving = ServingThread();
  EndProcess(child_ != 0 ? child_ : serving != 0 ? ProcessOf(serving).value_or(0) : 0, SIGTERM);
  if (const absl::Status taken = AwaitTakeover(*successor); !taken.ok()) {
    kill(*successor, SIGKILL);
    waitpid(*successor, nullptr, 0);
    starts_in_window_ = 0;  // the old agent did nothing wrong
    const absl::StatusOr<std::string> back = Launch(kernel_.Now());
    return absl::AbortedError(
        absl::StrCat("the new agent (", spec.policy, ") failed: ", taken.message(),
                     "; rolled back: ", back.ok() ? *back : back.status().message()));
  }
  child_ = *successor;
  spec_ = spec;
  return absl::OkStatus();
}

// Without hints an agent is good enough.
absl::StatusOr<pid_t> AgentSupervisor::StartProcess(const AgentSpec& spec) {
  if (!hints_ && !spec.hints.empty()) {
    absl::StatusOr<Fd> socket = ListenForHints(spec);
    if (socket.ok()) hints_ = *std::move(socket);
  }
  return LaunchAgent(kernel_, spec, hints_);
}

absl::StatusOr<std::string> AgentSupervisor::Launch(Time now) {
  if (starts_in_window_++ == 0) window_begin_ = now;
  const absl::StatusOr<pid_t> pid = StartProcess(spec_);
  if (!pid.ok())
    return absl::Status(pid.status().code(),
                        absl::StrCat("cannot start an agent for enclave ", spec_.enclave, ": ",
                                     pid.status().message()));
  child_ = *pid;
  return absl::StrCat("started agent ", child_, " (", spec_.policy, ") for enclave ",
                      spec_.enclave);
}

}  // namespace corral
