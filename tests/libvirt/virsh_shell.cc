// SPDX-License-Identifier: Apache-2.0
#include "tests/libvirt/virsh_shell.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace corral {
namespace {

constexpr char kPrompt[] = "virsh # ";
// A QEMU starts in seconds; a migration under emulation takes a minute.
constexpr std::chrono::seconds kPatience{180};

}  // namespace

VirshShell::VirshShell(const std::string& uri) {
  signal(SIGPIPE, SIG_IGN);  // a virsh that has ended fails the test, but does not end it
  int in[2], out[2];
  EXPECT_EQ(pipe2(in, O_CLOEXEC), 0);
  EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, out[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, out[1], STDERR_FILENO);
  const char* const argv[] = {"virsh", "-q", "-c", uri.c_str(), nullptr};
  EXPECT_EQ(posix_spawnp(&pid_, "virsh", &files, nullptr, const_cast<char**>(argv), environ), 0);
  posix_spawn_file_actions_destroy(&files);
  close(in[0]);
  close(out[1]);
  in_ = Fd(in[1]);
  out_ = Fd(out[0]);
  AwaitReturn();
}

VirshShell::~VirshShell() {
  in_ = Fd();
  if (pid_ <= 0) return;
  // It ends with its input, unless a command still waits for something.
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
}

void VirshShell::Say(const std::string& command) {
  const std::string line = absl::StrCat(command, "\n");
  EXPECT_EQ(write(in_.get(), line.data(), line.size()), static_cast<ssize_t>(line.size()))
      << command;
}

VirshShell::Answer VirshShell::AwaitReturn() {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  std::string text;
  while (!absl::EndsWith(text, kPrompt)) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd fd = {.fd = out_.get(), .events = POLLIN};
    char part[4096];
    ssize_t got = 0;
    if (left.count() > 0 && poll(&fd, 1, static_cast<int>(left.count())) > 0)
      got = read(out_.get(), part, sizeof(part));
    if (got <= 0) {
      ADD_FAILURE() << "virsh " << (left.count() > 0 ? "has ended" : "does not return") << ": "
                    << text;
      return {.text = text, .returned = std::chrono::steady_clock::now()};
    }
    text.append(part, static_cast<size_t>(got));
  }
  Answer answer{.returned = std::chrono::steady_clock::now()};
  // Its first line is the command, as readline shows it.
  absl::string_view printed = absl::StripSuffix(text, kPrompt);
  printed.remove_prefix(std::min(printed.find('\n'), printed.size() - 1) + 1);
  answer.text = std::string(absl::StripAsciiWhitespace(printed));
  answer.ok = !absl::StartsWith(printed, "error:") && !absl::StrContains(printed, "\nerror:");
  return answer;
}

VirshShell::Answer VirshShell::Run(const std::string& command) {
  Say(command);
  return AwaitReturn();
}

}  // namespace corral
