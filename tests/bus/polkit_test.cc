// SPDX-License-Identifier: Apache-2.0
// Who is not root may change what polkit lets him change: with the real polkitd, which sees our
// action and a rule of this test in a mount name space of its own.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/bus/names.h"
#include "tests/bus/private_bus.h"
#include "tests/bus/served.h"

namespace corral {
namespace {

constexpr char kPolkitd[] = "/usr/lib/polkit-1/polkitd";
constexpr uid_t kGames = 5;  // of every Debian
constexpr uid_t kNobody = 65534;

// An operator's own, as org.corral.Corral1(5) has an example.
constexpr char kRule[] = R"(
polkit.addRule(function(action, subject) {
    if (action.id == "org.corral.Corral1.manage" && subject.user == "games")
        return polkit.Result.YES;
});
)";

class PolkitTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root may be corrald on the bus";
    ASSERT_EQ(access(kPolkitd, X_OK), 0) << "install polkitd";
    ASSERT_TRUE(bus_.works());
    served_ = std::make_unique<Served>(LookForBus(Mode::kObserve, nullptr));
    char dir[] = "/tmp/corral-polkit.XXXXXX";
    ASSERT_NE(mkdtemp(dir), nullptr);
    dir_ = dir;
    std::filesystem::create_directories(dir_ / "actions");
    std::filesystem::create_directories(dir_ / "rules");
    std::filesystem::copy_file(CORRAL_POLKIT_POLICY, dir_ / "actions/org.corral.Corral1.policy");
    std::ofstream(dir_ / "rules/50-corral.rules") << kRule;
    chmod(dir, 0755);
    polkitd_ = fork();
    if (polkitd_ == 0) Polkitd();
  }
  void TearDown() override {
    if (polkitd_ > 0) {
      kill(polkitd_, SIGTERM);
      waitpid(polkitd_, nullptr, 0);
    }
    std::error_code error;
    std::filesystem::remove_all(dir_, error);
  }
  [[noreturn]] void Polkitd() const {
    const auto lay = [](const std::string& what, const char* over) {
      if (mount(what.c_str(), over, nullptr, MS_BIND, nullptr) != 0) _exit(126);
    };
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      _exit(126);
    lay(dir_ / "actions", "/usr/share/polkit-1/actions");
    lay(dir_ / "rules", "/etc/polkit-1/rules.d");
    lay(dir_ / "rules", "/usr/share/polkit-1/rules.d");
    const int null = open("/dev/null", O_WRONLY);
    dup2(null, STDOUT_FILENO);
    execl(kPolkitd, kPolkitd, "--no-debug", nullptr);
    _exit(127);
  }
  Outcome Reload(uid_t user) const {
    return RunAs(user, absl::StrCat("busctl --address=", bus_.address(), " call ", bus::kName, " ",
                                    bus::kPath, " ", bus::kInterface, " Reload"));
  }

  PrivateBus bus_;
  std::unique_ptr<Served> served_;
  std::filesystem::path dir_;
  pid_t polkitd_ = 0;
};

TEST_F(PolkitTest, DecidesForWhoIsNotRoot) {
  // It may not have come up yet.
  Outcome allowed;
  for (int i = 0; i < 100 && allowed.code != 0; ++i) {
    if (i > 0) usleep(100'000);
    allowed = Reload(kGames);
  }
  EXPECT_EQ(allowed.code, 0) << allowed.output;
  EXPECT_EQ(served_->requests().size(), 1u);
  const Outcome denied = Reload(kNobody);
  EXPECT_NE(denied.code, 0);
  EXPECT_TRUE(absl::StrContains(denied.output, "polkit")) << denied.output;
  EXPECT_FALSE(absl::StrContains(denied.output, "cannot be asked")) << denied.output;
  EXPECT_EQ(served_->requests().size(), 1u);
}

}  // namespace
}  // namespace corral
