// SPDX-License-Identifier: Apache-2.0
// `corralctl run`, with a corrald of the test's: what it asks for, that nothing runs unless it was
// granted, and that the command's exit status is its own. That threads are in the class then, and
// children follow, tests/switch has.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/daemon/control_socket.h"

namespace corral {
namespace {

namespace fs = std::filesystem;

struct Outcome {
  int status = 0;
  std::string output;  // of both streams
};

Outcome Shell(const std::string& command) {
  Outcome outcome;
  FILE* const pipe = popen(absl::StrCat("exec 2>&1; ", command).c_str(), "re");
  char buffer[4096];
  while (const size_t size = fread(buffer, 1, sizeof(buffer), pipe))
    outcome.output.append(buffer, size);
  const int status = pclose(pipe);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

// Answers as `verdict` says, until it is destroyed.
class FakeDaemon {
 public:
  FakeDaemon(const std::string& path, const absl::Status& verdict)
      : server_(
            ControlServer::Listen(
                path,
                [this, verdict](const nlohmann::json& request) -> absl::StatusOr<nlohmann::json> {
                  requests_.push_back(request);
                  if (!verdict.ok()) return verdict;
                  return nlohmann::json::object();
                })
                .value()),
        thread_([this] {
          while (!stop_) {
            pollfd caller = {.fd = server_.fd(), .events = POLLIN};
            if (poll(&caller, 1, 20) == 1) server_.Serve();
          }
        }) {}
  ~FakeDaemon() { Stop(); }
  FakeDaemon(const FakeDaemon&) = delete;

  const std::vector<nlohmann::json>& Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return requests_;
  }

 private:
  std::vector<nlohmann::json> requests_;
  std::atomic<bool> stop_ = false;
  ControlServer server_;
  std::thread thread_;
};

class RunTest : public testing::Test {
 protected:
  RunTest() : dir_(fs::path(testing::TempDir()) / absl::StrCat("run_test.", getpid())) {
    fs::create_directories(dir_);
  }
  ~RunTest() override { fs::remove_all(dir_); }

  std::string socket() const { return dir_ / kEnforcerSocketName; }
  Outcome Run(const std::string& command) const {
    return Shell(absl::StrCat("cd ", dir_.string(), " && ", CORRALCTL, " run --socket ", socket(),
                              " --enclave batch -- ", command));
  }

  const fs::path dir_;
};

TEST_F(RunTest, BecomesTheCommandOnceItIsAttached) {
  FakeDaemon daemon(socket(), absl::OkStatus());
  const Outcome outcome = Run("sh -c 'echo $$ \"$1\"; exit 7' sh 'two  words'");
  EXPECT_EQ(outcome.status, 7) << outcome.output;
  const std::vector<nlohmann::json>& requests = daemon.Stop();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0]["call"], "attach");
  EXPECT_EQ(requests[0]["enclave"], "batch");
  EXPECT_EQ(outcome.output, absl::StrCat(requests[0]["pid"].get<int>(), " two  words\n"));
}

TEST_F(RunTest, SignalsEndItAsTheyEndTheCommand) {
  FakeDaemon daemon(socket(), absl::OkStatus());
  EXPECT_EQ(Run("sh -c 'kill -TERM $$'").status, 128 + SIGTERM);
}

TEST_F(RunTest, WhatCannotBeExecutedIsTold) {
  FakeDaemon daemon(socket(), absl::OkStatus());
  const Outcome missing = Run("no-such-program");
  EXPECT_EQ(missing.status, 127);
  EXPECT_EQ(missing.output,
            "corralctl: cannot execute no-such-program: No such file or directory\n");
  const Outcome directory = Run("/");
  EXPECT_EQ(directory.status, 126) << directory.output;
}

TEST_F(RunTest, NothingRunsThatWasRefused) {
  FakeDaemon daemon(socket(), absl::NotFoundError("there is no enclave \"batch\"; there are: vms"));
  const Outcome outcome = Run("touch ran");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.output, "corralctl: there is no enclave \"batch\"; there are: vms\n");
  EXPECT_FALSE(fs::exists(dir_ / "ran"));
}

TEST_F(RunTest, NorWithoutCorrald) {
  const Outcome outcome = Run("touch ran");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(absl::StrContains(outcome.output, "start corrald.service")) << outcome.output;
  EXPECT_FALSE(fs::exists(dir_ / "ran"));
}

TEST_F(RunTest, NorForSomebodyElseThanRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  FakeDaemon daemon(socket(), absl::InternalError("must not be asked"));
  // Where anybody can execute it.
  fs::copy_file(CORRALCTL, dir_ / "corralctl");
  fs::permissions(dir_, fs::perms(0755));
  const Outcome outcome =
      Shell(absl::StrCat("setpriv --reuid=65534 --clear-groups ", (dir_ / "corralctl").string(),
                         " run --socket ", socket(), " --enclave batch -- echo it ran"));
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(absl::StrContains(outcome.output, "run as root")) << outcome.output;
  EXPECT_FALSE(absl::StrContains(outcome.output, "it ran")) << outcome.output;
}

TEST_F(RunTest, NorWhileCorraldOnlyObserves) {
  FakeDaemon observer(dir_ / kObserverSocketName, absl::InternalError("must not be asked"));
  const Outcome outcome = Run("touch ran");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.output,
            "corralctl: corrald only observes; \"corralctl enable\" makes it enforce\n");
  EXPECT_FALSE(fs::exists(dir_ / "ran"));
}

TEST_F(RunTest, TheCommandIsBehindTwoDashes) {
  const Outcome outcome = Shell(absl::StrCat(CORRALCTL, " run --enclave batch"));
  EXPECT_EQ(outcome.status, 2) << outcome.output;
}

}  // namespace
}  // namespace corral
