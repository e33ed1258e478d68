// SPDX-License-Identifier: Apache-2.0
#include "agent/class/class_handover.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "agent/class/class_state.h"
#include "agent/class/class_successor.h"
#include "agent/class/handover_step.h"
#include "kernel/bpf/confined_threads.h"

extern char** environ;

namespace corral {
namespace {

constexpr int kPoll = 100;  // ms
// What the successor has the lock as: it keeps it after our death.
constexpr int kPassedLock = 3;

struct SpawnActions {
  posix_spawn_file_actions_t actions;
  SpawnActions() { posix_spawn_file_actions_init(&actions); }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&actions); }
  SpawnActions(const SpawnActions&) = delete;
};

// A pipe of which neither end is inherited by accident: reader and writer.
absl::StatusOr<std::pair<Fd, Fd>> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return absl::InternalError(absl::StrCat("cannot make a pipe: ", strerror(errno)));
  return std::pair(Fd(ends[0]), Fd(ends[1]));
}

}  // namespace

ClassHandover::~ClassHandover() {
  if (successor_ != 0) Bury(/*kill_it=*/true);
}

absl::Status ClassHandover::Spawn() {
  absl::StatusOr<Fd> lock = file_.Lock(Duration(0));
  if (!lock.ok()) return lock.status();
  lock_ = *std::move(lock);
  absl::StatusOr<std::pair<Fd, Fd>> down = MakePipe(), up = MakePipe();
  if (!down.ok()) return down.status();
  if (!up.ok()) return up.status();
  const bool other_threads = sizes_.whole_host != (kernel_.info().whole_host != 0);
  std::vector<std::string> arguments = {
      program_,    "replace",
      "--folder",  folder_,
      "--present", absl::StrCat(other_threads ? 0 : kernel_.info().object),
      "--tasks",   absl::StrCat(sizes_.tasks),
      "--domains", absl::StrCat(sizes_.domains)};
  // Older ones know nothing else.
  if (sizes_.whole_host) arguments.insert(arguments.end(), {"--scope", "host"});
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  SpawnActions spawn;
  posix_spawn_file_actions_adddup2(&spawn.actions, down->first.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&spawn.actions, up->second.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&spawn.actions, lock_.get(), kPassedLock);
  if (const int error =
          posix_spawn(&successor_, program_.c_str(), &spawn.actions, nullptr, argv.data(), environ);
      error != 0) {
    successor_ = 0;
    return absl::NotFoundError(absl::StrCat("cannot start ", program_, ": ", strerror(error)));
  }
  to_ = std::move(down->second);
  from_ = std::move(up->first);
  return absl::OkStatus();
}

absl::StatusOr<std::string> ClassHandover::HearLine(Duration patience,
                                                    absl::FunctionRef<void()> meanwhile) {
  pollfd ready = {.fd = from_.get(), .events = POLLIN};
  for (const Time end = kernel_.Now() + patience; kernel_.Now() < end; meanwhile()) {
    if (poll(&ready, 1, kPoll) <= 0) continue;
    char text[64];
    const ssize_t got = read(from_.get(), text, sizeof(text));
    if (got <= 0) return absl::AbortedError(Bury(/*kill_it=*/false));
    return std::string(absl::StripSuffix(absl::string_view(text, static_cast<size_t>(got)), "\n"));
  }
  return absl::DeadlineExceededError(absl::StrCat("took too long and ", Bury(/*kill_it=*/true)));
}

std::string ClassHandover::Bury(bool kill_it) {
  if (kill_it) kill(successor_, SIGKILL);
  int status = 0;
  waitpid(successor_, &status, 0);
  successor_ = 0;
  if (WIFSIGNALED(status)) return absl::StrCat("was killed by signal ", WTERMSIG(status));
  return absl::StrCat("exited with ", WEXITSTATUS(status), "; its messages say why");
}

absl::StatusOr<bool> ClassHandover::Prepare(bool same_abi, absl::FunctionRef<void()> meanwhile) {
  if (const absl::Status spawned = Spawn(); !spawned.ok()) return spawned;
  const absl::StatusOr<std::string> said = HearLine(kPreparation, meanwhile);
  if (!said.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat(program_, " ", said.status().message(), "; the class that is there goes on"));
  }
  if (*said == "same") {
    Bury(/*kill_it=*/false);
    return false;
  }
  absl::string_view number = *said;
  uint32_t abi = 0;
  if (!absl::ConsumePrefix(&number, "ready ") || !absl::SimpleAtoi(number, &abi)) {
    return absl::FailedPreconditionError(
        absl::StrCat(program_, " is no corral-class: it says \"", *said, "\""));
  }
  if (same_abi && abi != GHOST_ABI_VERSION) {
    return absl::FailedPreconditionError(absl::StrCat(program_, " has a class of ABI version ", abi,
                                                      ", and corrald one of ", GHOST_ABI_VERSION,
                                                      "; install the corrald of the same release"));
  }
  return true;
}

absl::Status ClassHandover::StopVms(HandoverRecord& record) {
  record.stopped = PausedVms::InClass(kernel_);
  record.stopped.LeaveOutStopped();
  if (const absl::Status written = file_.Write(record); !written.ok()) return written;
  Reached(HandoverStep::kWrittenDown);
  record.stopped.Stop();
  absl::Status status = record.stopped.AwaitStopped(kStopping);
  if (status.ok()) {
    Reached(HandoverStep::kStopped);
    record.state = CaptureClass(kernel_);
    status = file_.Write(record);
  }
  if (!status.ok()) {
    record.stopped.ResumeAll();
    file_.Remove();
  }
  return status;
}

absl::StatusOr<Time> ClassHandover::TakeOver() {
  if (write(to_.get(), "go\n", 3) != 3)
    return absl::AbortedError(absl::StrCat(program_, " ", Bury(/*kill_it=*/true)));
  Reached(HandoverStep::kSaidGo);
  const absl::StatusOr<std::string> said = HearLine(kTakeover, [] {});
  if (!said.ok()) return absl::AbortedError(absl::StrCat(program_, " ", said.status().message()));
  const Time done = kernel_.Now();
  Bury(/*kill_it=*/false);
  return done;
}

absl::StatusOr<Duration> ClassHandover::Run() {
  // Should it come to an end without the successor, then with the threads that the class has now.
  HandoverRecord record{.sizes = ClassSizes::Of(kernel_.info())};
  const Time begin = kernel_.Now();
  if (const absl::Status stopped = StopVms(record); !stopped.ok())
    return absl::CancelledError(
        absl::StrCat(stopped.message(), "; the class that is there goes on"));
  Reached(HandoverStep::kCaptured);
  // Written down in the class's memory, in its layout. The VMs' keeper binds them again.
  UndoConfinement();
  const absl::StatusOr<Time> done = TakeOver();
  lock_ = Fd();
  if (done.ok()) return *done - begin;
  const absl::Status& taken = done.status();
  const absl::StatusOr<bool> mended = MendHandover(folder_);
  if (!mended.ok()) {
    return absl::DataLossError(absl::StrCat(
        taken.message(), "; and it cannot be brought to an end: ", mended.status().message(),
        "; VMs stay stopped (SIGSTOP); remove the cause, then restart corrald"));
  }
  return absl::AbortedError(
      absl::StrCat(taken.message(), "; it was brought to an end, and the VMs go on, after ",
                   (kernel_.Now() - begin) / std::chrono::milliseconds(1), " ms"));
}

}  // namespace corral
