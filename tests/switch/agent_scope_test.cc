// SPDX-License-Identifier: Apache-2.0
// What an agent's unit is called, and what becomes of it without a systemd; with one: tests/rpm.
#include "agent/daemon/agent_scope.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "kernel/fd.h"

namespace corral {
namespace {

TEST(AgentScope, IsNamedAsSystemdEscapes) {
  EXPECT_EQ(AgentScope("vms"), "corral-agent-vms.scope");
  EXPECT_EQ(AgentScope("my-vms.2"), "corral-agent-my\\x2dvms.2.scope");
  EXPECT_EQ(AgentScope(".x/y@z"), "corral-agent-\\x2ex\\x2fy\\x40z.scope");
}

class NoSystemd : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(folder_.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string Socket() const { return folder_ + "/private"; }
  Fd Listen() const {
    sockaddr_un address = {.sun_family = AF_UNIX};
    Socket().copy(address.sun_path, sizeof(address.sun_path) - 1);
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(socket.get(), 1), 0);
    return socket;
  }

  std::string folder_ = "/tmp/corral-scope.XXXXXX";
};

TEST_F(NoSystemd, ThereIsNone) {
  EXPECT_TRUE(absl::IsUnavailable(MoveIntoScope(getpid(), "vms", Socket())));
}

TEST_F(NoSystemd, ItHasDied) {
  Listen();
  EXPECT_TRUE(absl::IsUnavailable(MoveIntoScope(getpid(), "vms", Socket())));
}

// Whoever waits for an agent must not wait for it for ever.
TEST_F(NoSystemd, ItDoesNotAnswer) {
  const Fd silent = Listen();
  const absl::Status status = MoveIntoScope(getpid(), "vms", Socket());
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

}  // namespace
}  // namespace corral
