// SPDX-License-Identifier: Apache-2.0
// corralctl enable and disable: the drop-in, the daemon that takes it up, and the way back when it
// does not.
#include "agent/ctl/mode_switch.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>

#include "absl/strings/match.h"
#include "agent/ctl/corral_yaml.h"
#include "agent/ctl/mode_command.h"
#include "agent/daemon/control_socket.h"

namespace corral::ctl {
namespace {

constexpr char kObserving[] = "version: 1\nmode: observe\nenclaves: [{name: vms, vms: libvirt}]\n";

// Listens as corrald does, and takes up the mode of the files when it is asked to reload.
class FakeDaemon {
 public:
  enum class Answer { kTakesUp, kRefuses, kDies };

  FakeDaemon(std::string config, std::string dir, Mode mode, Answer answer)
      : config_(std::move(config)), dir_(std::move(dir)), answer_(answer) {
    Become(mode);
    thread_ = std::thread([this] { Run(); });
  }
  ~FakeDaemon() {
    stop_ = true;
    thread_.join();
  }
  int reloads() const { return reloads_; }

 private:
  void Become(Mode mode) {
    mode_ = mode;
    server_.reset();  // its socket closes as on exec
    absl::StatusOr<ControlServer> server = ControlServer::Listen(
        dir_ + "/" + (mode == Mode::kEnforce ? kEnforcerSocketName : kObserverSocketName),
        [this](const nlohmann::json& request) { return Handle(request); });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::make_unique<ControlServer>(*std::move(server));
  }

  absl::StatusOr<nlohmann::json> Handle(const nlohmann::json& request) {
    if (request["call"] == "mode") return nlohmann::json{{"mode", NameOf(mode_)}};
    ++reloads_;
    if (answer_ == Answer::kRefuses) return absl::FailedPreconditionError("start corral-class");
    next_ = LoadCorralYaml(config_)->mode;
    return nlohmann::json{{"mode", NameOf(*next_)}};
  }

  void Run() {
    while (!stop_) {
      pollfd fd = {.fd = server_ == nullptr ? -1 : server_->fd(), .events = POLLIN};
      if (poll(&fd, 1, 20) > 0) server_->Serve();
      if (next_ && answer_ == Answer::kDies) server_.reset();
      if (next_ && answer_ == Answer::kTakesUp) Become(*next_);
      next_.reset();
    }
  }

  const std::string config_;
  const std::string dir_;
  const Answer answer_;
  Mode mode_ = Mode::kObserve;
  std::optional<Mode> next_;
  std::unique_ptr<ControlServer> server_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> reloads_ = 0;
  std::thread thread_;
};

class ModeSwitchTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/corral-mode-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
    WriteFile("corral.yaml", kObserving);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::string Path(const std::string& name) const { return dir_ + "/" + name; }
  void WriteFile(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(Path(name)).parent_path());
    std::ofstream(Path(name)) << text;
  }
  std::string Text(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(Path(name)).rdbuf();
    return text.str();
  }
  // Whatever is there beside the operator's file, hidden files too.
  std::vector<std::string> DropIns() const {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(Path("corral.d"), error))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
  Mode InForce() const { return LoadCorralYaml(Path("corral.yaml"))->mode; }

  std::unique_ptr<FakeDaemon> Daemon(Mode mode, FakeDaemon::Answer answer) const {
    return std::make_unique<FakeDaemon>(Path("corral.yaml"), dir_, mode, answer);
  }
  ModeReport Switch(Mode wanted, Findings host = {}) const {
    return SwitchMode({.config = Path("corral.yaml"),
                       .runtime_dir = dir_,
                       .check_host = [&] { return host; },
                       .patience = std::chrono::seconds(5)},
                      wanted);
  }

  std::string dir_;
};

TEST_F(ModeSwitchTest, WithoutADaemonTheFilesSayIt) {
  const ModeReport report = Switch(Mode::kEnforce);
  ASSERT_TRUE(report.status.ok()) << report.status;
  EXPECT_EQ(report.before, Mode::kObserve);
  EXPECT_TRUE(report.written);
  EXPECT_EQ(report.daemon, std::nullopt);
  EXPECT_EQ(InForce(), Mode::kEnforce);
  EXPECT_EQ(Text("corral.yaml"), kObserving);
  EXPECT_EQ(DropIns(), std::vector<std::string>{kModeDropInName});
  struct stat info;
  ASSERT_EQ(stat(report.file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0644u);
  EXPECT_EQ(NextSteps(report, Mode::kEnforce, false),
            std::vector<std::string>{
                "start the class and corrald: systemctl enable --now corral-class corrald"});
}

TEST_F(ModeSwitchTest, BackAndForthLeavesOneDropIn) {
  ASSERT_TRUE(Switch(Mode::kEnforce).status.ok());
  const ModeReport back = Switch(Mode::kObserve);
  ASSERT_TRUE(back.status.ok()) << back.status;
  EXPECT_EQ(back.before, Mode::kEnforce);
  EXPECT_EQ(InForce(), Mode::kObserve);
  EXPECT_EQ(DropIns(), std::vector<std::string>{kModeDropInName});
  const ModeReport again = Switch(Mode::kObserve);
  EXPECT_TRUE(again.status.ok());
  EXPECT_FALSE(again.written);
}

TEST_F(ModeSwitchTest, NothingIsWrittenForWhatIsSoAlready) {
  const ModeReport report = Switch(Mode::kObserve);
  EXPECT_TRUE(report.status.ok());
  EXPECT_FALSE(report.written);
  EXPECT_TRUE(DropIns().empty());
}

TEST_F(ModeSwitchTest, TheDaemonTakesItUp) {
  const auto daemon = Daemon(Mode::kObserve, FakeDaemon::Answer::kTakesUp);
  const ModeReport report = Switch(Mode::kEnforce);
  ASSERT_TRUE(report.status.ok()) << report.status;
  EXPECT_EQ(report.daemon_before, Mode::kObserve);
  EXPECT_EQ(report.daemon, Mode::kEnforce);
  EXPECT_EQ(daemon->reloads(), 1);
  EXPECT_TRUE(NextSteps(report, Mode::kEnforce, true).empty());
  EXPECT_EQ(ModeText(report, Mode::kEnforce, {}),
            "mode: enforce, in " + Path("corral.d/90-corralctl.yaml") + "\ncorrald enforces now\n");
  const ModeReport back = Switch(Mode::kObserve);
  ASSERT_TRUE(back.status.ok()) << back.status;
  EXPECT_EQ(back.daemon, Mode::kObserve);
  EXPECT_EQ(NextSteps(back, Mode::kObserve, true).size(), 1u);
}

// The files may have said so all along, and nobody told the daemon.
TEST_F(ModeSwitchTest, ADaemonThatLagsBehindIsTold) {
  WriteFile("corral.yaml", absl::StrCat(kObserving, "class_loss: pause\n"));
  WriteFile("corral.d/50-mode.yaml", "version: 1\nmode: enforce\n");
  const auto daemon = Daemon(Mode::kObserve, FakeDaemon::Answer::kTakesUp);
  const ModeReport report = Switch(Mode::kEnforce);
  ASSERT_TRUE(report.status.ok()) << report.status;
  EXPECT_FALSE(report.written);
  EXPECT_EQ(report.daemon, Mode::kEnforce);
}

TEST_F(ModeSwitchTest, ARefusalUndoesIt) {
  const auto daemon = Daemon(Mode::kObserve, FakeDaemon::Answer::kRefuses);
  const ModeReport report = Switch(Mode::kEnforce);
  EXPECT_EQ(report.status, absl::FailedPreconditionError("start corral-class"));
  EXPECT_FALSE(report.written);
  EXPECT_EQ(report.daemon, Mode::kObserve);
  EXPECT_TRUE(DropIns().empty());
  // What was there before comes back as it was.
  WriteFile("corral.d/90-corralctl.yaml", "version: 1 # mine\n");
  EXPECT_FALSE(Switch(Mode::kEnforce).status.ok());
  EXPECT_EQ(Text("corral.d/90-corralctl.yaml"), "version: 1 # mine\n");
}

TEST_F(ModeSwitchTest, ADaemonThatDoesNotComeBackUndoesIt) {
  const auto daemon = Daemon(Mode::kObserve, FakeDaemon::Answer::kDies);
  const ModeReport report = Switch(Mode::kEnforce);
  EXPECT_TRUE(absl::IsDeadlineExceeded(report.status)) << report.status;
  EXPECT_EQ(report.daemon, std::nullopt);
  EXPECT_TRUE(DropIns().empty());
}

TEST_F(ModeSwitchTest, AFailureOfTheHostForbidsEnforcing) {
  const Findings host = {{.level = Level::kWarn, .id = "memory.ksm", .fact = "pages are shared"},
                         {.level = Level::kFail,
                          .id = "kernel.sched_ext",
                          .fact = "it has none",
                          .remedy = "boot another"}};
  const ModeReport report = Switch(Mode::kEnforce, host);
  EXPECT_TRUE(absl::IsFailedPrecondition(report.status));
  EXPECT_TRUE(DropIns().empty());
  ASSERT_EQ(report.failures.size(), 1u);
  EXPECT_EQ(ModeText(report, Mode::kEnforce, {}),
            "fail  kernel.sched_ext: it has none\n      -> boot another\n");
  const nlohmann::ordered_json json = ModeJson(report, Mode::kEnforce, {});
  EXPECT_EQ(json["failures"][0]["remedy"], "boot another");
  EXPECT_EQ(json["written"], false);
  EXPECT_NE(json["error"], nullptr);
  // The way back is always open.
  EXPECT_TRUE(Switch(Mode::kObserve, host).status.ok());
}

TEST_F(ModeSwitchTest, TheWholeIsJudgedBefore) {
  WriteFile("corral.yaml", "version: 1\n");
  const ModeReport report = Switch(Mode::kEnforce);
  EXPECT_EQ(report.status.message(),
            Path("corral.d/90-corralctl.yaml") +
                ":3:7: there is nothing to enforce; add an enclave or write observe");
  EXPECT_TRUE(DropIns().empty());
  WriteFile("corral.yaml", "version: 1\nmod: observe\n");
  EXPECT_FALSE(Switch(Mode::kObserve).status.ok());
}

TEST_F(ModeSwitchTest, AWordThatIsReadLaterIsNamed) {
  WriteFile("corral.d/95-site.yaml", "version: 1\nmode: observe\n");
  EXPECT_EQ(Switch(Mode::kEnforce).status.message(),
            Path("corral.d/95-site.yaml") +
                ":2 says mode: observe and is read after 90-corralctl.yaml; take it out there");
  WriteFile("corral.d/10-site.yaml", "version: 1\nmode: observe\n");
  std::filesystem::remove(Path("corral.d/95-site.yaml"));
  EXPECT_TRUE(Switch(Mode::kEnforce).status.ok());
}

TEST_F(ModeSwitchTest, WhatCannotBeWrittenIsToldAndChangesNothing) {
  const FileChange change = {.file = Path("corral.yaml/x/90-corralctl.yaml"), .after = "x"};
  const absl::Status status = Write(change);
  EXPECT_TRUE(absl::StrContains(status.message(), "Not a directory")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "nothing was changed")) << status;
}

}  // namespace
}  // namespace corral::ctl
