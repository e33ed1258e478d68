// SPDX-License-Identifier: Apache-2.0
#include "tests/libvirt/plain_vm.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "kernel/fd.h"

extern char** environ;

namespace corral {
namespace {

constexpr std::chrono::seconds kPatience{60};
constexpr char kPrompt[] = "(qemu) ";

// Up to and with the next prompt.
std::string ReadToPrompt(int socket) {
  std::string text;
  char part[512];
  while (!absl::EndsWith(text, kPrompt)) {
    const ssize_t got = read(socket, part, sizeof(part));
    if (got <= 0) break;
    text.append(part, static_cast<size_t>(got));
  }
  return text;
}

}  // namespace

PlainVm::PlainVm(std::string name, const Options& options)
    : socket_(absl::StrCat("/tmp/", name, ".monitor")) {
  unlink(socket_.c_str());
  std::vector<std::string> words = options.as;
  for (const std::string& word : {std::string("qemu-system-x86_64"),
                                  std::string("-name"),
                                  absl::StrCat(name, ",debug-threads=", options.debug_threads),
                                  std::string("-S"),
                                  std::string("-accel"),
                                  options.accelerator,
                                  std::string("-machine"),
                                  std::string("pc"),
                                  std::string("-cpu"),
                                  std::string("qemu64"),
                                  std::string("-m"),
                                  std::string("32"),
                                  std::string("-smp"),
                                  absl::StrCat(options.vcpus, ",sockets=", options.vcpus + 1,
                                               ",cores=1,threads=1,maxcpus=", options.vcpus + 1),
                                  std::string("-display"),
                                  std::string("none"),
                                  std::string("-nodefaults"),
                                  std::string("-no-user-config"),
                                  std::string("-monitor"),
                                  absl::StrCat("unix:", socket_, ",server=on,wait=off")}) {
    words.push_back(word);
  }
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  EXPECT_EQ(posix_spawnp(&pid_, arguments[0], nullptr, nullptr, arguments.data(), environ), 0);
  EXPECT_TRUE(absl::StrContains(Ask("info status"), "paused")) << name << " does not start";
}

std::string PlainVm::Ask(const std::string& command) const {
  sockaddr_un address = {.sun_family = AF_UNIX};
  socket_.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const Fd monitor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (connect(monitor.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    if (std::chrono::steady_clock::now() >= end) return "no monitor";
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ReadToPrompt(monitor.get());
  const std::string line = command + "\n";
  EXPECT_EQ(write(monitor.get(), line.data(), line.size()), static_cast<ssize_t>(line.size()));
  return ReadToPrompt(monitor.get());
}

void PlainVm::Kill() {
  if (pid_ <= 0) return;
  EXPECT_EQ(kill(pid_, SIGKILL), 0);
  EXPECT_EQ(waitpid(pid_, nullptr, 0), pid_);
  pid_ = -1;
}

}  // namespace corral
