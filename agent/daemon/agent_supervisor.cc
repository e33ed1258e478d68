// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/agent_supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/daemon/agent_scope.h"
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

std::string ProgramLink(pid_t process) { return absl::StrCat("/proc/", process, "/exe"); }

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

pid_t AgentSupervisor::ServingProcess() const {
  if (child_ != 0) return child_;
  const pid_t serving = ServingThread();
  return serving != 0 ? ProcessOf(serving).value_or(0) : 0;
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

std::string AgentSupervisor::Reap() {
  int status = 0;
  if (child_ == 0 || waitpid(child_, &status, WNOHANG) != child_) return "";
  child_ = 0;
  return HowItEnded(status);
}

// Where the host keeps one core's agent from running, those of the others go on.
bool AgentSupervisor::Hangs(Time now) const {
  bool stalled = false, decides = false;
  for (const CoreId core : spec_.cores) {
    const ghost_core_state& state = kernel_.cores()[core.value()];
    stalled = stalled || (state.agent_tid != 0 && state.agent_stalled != 0);
    decides = decides || Time(FromNs(state.last_commit_ns)) + kHung > now;
  }
  return stalled && !decides && (!killed_at_ || now >= *killed_at_ + kKillsApart);
}

News AgentSupervisor::Poll(Time now) {
  const pid_t child = child_;
  std::string ended = Reap();
  if (trial_) {
    const std::string failure = ended.empty() ? trial_->Failure(now) : ended;
    if (!failure.empty()) return RollBack(failure, now);
    if (trial_->IsOver(now)) trial_.reset();
  }
  if (const pid_t process = Hangs(now) ? ServingProcess() : 0; process > 0) {
    killed_at_ = now;
    kill(process, SIGKILL);
    return Tell(Event::kAgentLost,
                absl::StrCat("agent ", process, " of enclave ", spec_.enclave,
                             " hangs, and is killed; the class schedules alone"));
  }
  if (child_ != 0) return "";
  if (!ended.empty()) {
    ended = absl::StrCat("agent ", child, " of enclave ", spec_.enclave, " ", ended,
                         "; the class schedules alone; ");
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

void AgentSupervisor::EndProcess(pid_t process) {
  if (process <= 0) return;
  kill(process, SIGTERM);
  const auto has_left = [&] {
    return process == child_ ? !Reap().empty() : ServingProcess() != process;
  };
  for (const Time end = kernel_.Now() + kFarewell; !has_left(); poll(nullptr, 0, 5)) {
    if (kernel_.Now() >= end) kill(process, SIGKILL);
  }
}

void AgentSupervisor::Retire() {
  trial_.reset();
  starts_in_window_ = 0;
  EndProcess(ServingProcess());
}

bool AgentSupervisor::IsFrom(const std::string& program) const {
  struct stat running, file;
  return stat(ProgramLink(ServingProcess()).c_str(), &running) == 0 &&
         stat(program.c_str(), &file) == 0 && running.st_dev == file.st_dev &&
         running.st_ino == file.st_ino;
}

FormerAgent AgentSupervisor::Former() const {
  FormerAgent former{.spec = spec_};
  const pid_t process = ServingProcess();
  if (ReplacedProgram(process).empty()) return former;
  former.program = Fd(open(ProgramLink(process).c_str(), O_RDONLY | O_CLOEXEC));
  former.spec.program = absl::StrCat("/proc/", getpid(), "/fd/", former.program.get());
  return former;
}

// The agent on trial lives, or is no more.
News AgentSupervisor::RollBack(absl::string_view why, Time now) {
  FormerAgent former = std::move(trial_->former());
  trial_.reset();
  const std::string failed = spec_.policy;
  program_ = std::move(former.program);
  starts_in_window_ = 0;  // the old agent did nothing wrong
  absl::Status back;
  if (child_ != 0) {
    back = SwitchTo(former.spec);
    trial_.reset();  // it has proved itself
  } else {
    spec_ = former.spec;
    back = Launch(now).status();
  }
  return Tell(
      Event::kPolicyRolledBack,
      absl::StrCat("the new agent (", failed, ") of enclave ", spec_.enclave, " ", why, "; ",
                   back.ok() ? absl::StrCat("rolled back to policy ", spec_.policy)
                             : absl::StrCat("cannot roll back: ", back.message())));
}

absl::Status AgentSupervisor::MatchSpec() {
  const pid_t serving = ServingThread();
  const absl::StatusOr<RunningAgent> running = IdentifyAgent(serving);
  // One that died just now will be replaced anyway.
  if (serving == 0 || !running.ok()) return absl::OkStatus();
  if (running->policy == spec_.policy && ReplacedProgram(ServingProcess()).empty() &&
      (running->options_json.empty() || running->options_json == spec_.options_json))
    return absl::OkStatus();
  const AgentSpec wanted = spec_;
  spec_.policy = running->policy;
  spec_.options_json = running->options_json;
  return SwitchTo(wanted);
}

// Up, and waiting for the cores: one that cannot even start must not cost the old one its place.
absl::StatusOr<pid_t> AgentSupervisor::StartSuccessor(const AgentSpec& spec) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return absl::InternalError(absl::StrCat("cannot make a pipe: ", strerror(errno)));
  const Fd ready(ends[0]);
  Fd says_ready(ends[1]);
  absl::StatusOr<pid_t> successor = StartProcess(spec, says_ready);
  if (!successor.ok()) return successor;
  says_ready = Fd();
  pollfd up = {.fd = ready.get(), .events = POLLIN};
  poll(&up, 1, static_cast<int>(kPreparation / std::chrono::milliseconds(1)));
  if ((up.revents & POLLIN) != 0) return successor;
  int status = 0;
  kill(*successor, SIGKILL);  // has an effect if it was too slow
  waitpid(*successor, &status, 0);
  return absl::AbortedError(
      absl::StrCat("the new agent (", spec.policy, ") ",
                   (up.revents & POLLHUP) != 0 ? HowItEnded(status) : "does not get ready",
                   "; policy ", spec_.policy, " goes on"));
}

absl::Status AgentSupervisor::SwitchTo(const AgentSpec& spec) {
  const absl::StatusOr<pid_t> successor = StartSuccessor(spec);
  if (!successor.ok()) return successor.status();
  FormerAgent former = Former();
  GivenPromises promises(kernel_, spec_.enclave_id);
  EndProcess(ServingProcess());
  if (const absl::Status taken = AwaitTakeover(*successor); !taken.ok()) {
    kill(*successor, SIGKILL);
    waitpid(*successor, nullptr, 0);
    starts_in_window_ = 0;  // the old agent did nothing wrong
    spec_ = former.spec;
    program_ = std::move(former.program);
    const absl::StatusOr<std::string> back = Launch(kernel_.Now());
    return absl::AbortedError(
        absl::StrCat("the new agent (", spec.policy, ") failed: ", taken.message(),
                     "; rolled back: ", back.ok() ? *back : back.status().message()));
  }
  child_ = *successor;
  spec_ = spec;
  trial_.reset();
  if (trial_length_ > Duration(0)) {
    trial_.emplace(kernel_, std::move(former), std::move(promises), kernel_.Now(), trial_length_);
  }
  return absl::OkStatus();
}

// Without hints an agent is good enough.
absl::StatusOr<pid_t> AgentSupervisor::StartProcess(const AgentSpec& spec, const Fd& ready) {
  if (!hints_ && !spec.hints.empty()) {
    absl::StatusOr<Fd> socket = ListenForHints(spec);
    if (socket.ok()) hints_ = *std::move(socket);
  }
  absl::StatusOr<pid_t> agent = LaunchAgent(kernel_, spec, {.hints = hints_, .ready = ready});
  // Where it stays otherwise it serves as well.
  if (agent.ok()) scope_ = MoveIntoScope(*agent, spec.enclave);
  return agent;
}

absl::StatusOr<std::string> AgentSupervisor::Launch(Time now) {
  if (starts_in_window_++ == 0) window_begin_ = now;
  const absl::StatusOr<pid_t> pid = StartProcess(spec_, Fd());
  if (!pid.ok())
    return absl::Status(pid.status().code(),
                        absl::StrCat("cannot start an agent for enclave ", spec_.enclave, ": ",
                                     pid.status().message()));
  child_ = *pid;
  const bool told = scope_.ok() || absl::IsUnavailable(scope_);
  return absl::StrCat("started agent ", child_, " (", spec_.policy, ") for enclave ", spec_.enclave,
                      told ? "" : "; it has no unit of its own: ", told ? "" : scope_.message());
}

}  // namespace corral
