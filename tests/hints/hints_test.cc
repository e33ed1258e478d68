// SPDX-License-Identifier: Apache-2.0
// Hints from the application's call to what a policy reads, over a real socket; and processes that
// do not keep to it.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "agent/hints/corral_hints.h"
#include "agent/hints/hint_server.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

bool Eventually(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + seconds(20);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address = {.sun_family = AF_UNIX};
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

// The agent's half, in a thread of its own.
class Agent {
 public:
  Agent(const std::string& path, const std::atomic<bool>& is_ours)
      : tables(HintTables::Create().value()) {
    Fd listener(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    unlink(path.c_str());
    const sockaddr_un address = AddressOf(path);
    EXPECT_EQ(bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
              0);
    EXPECT_EQ(listen(listener.get(), 128), 0);
    server_ = HintServer::Create(std::move(listener), *tables, [&](pid_t) {
                return is_ours.load();
              }).value();
    thread_ = std::thread([this] {
      while (!stop_) {
        pollfd fd = {.fd = server_->fd(), .events = POLLIN};
        if (poll(&fd, 1, 10) > 0) server_->Serve();
      }
    });
  }
  ~Agent() {
    stop_ = true;
    thread_.join();
  }

  const std::unique_ptr<HintTables> tables;

 private:
  std::unique_ptr<HintServer> server_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

class Hints : public testing::Test {
 protected:
  void SetUp() override {
    std::string dir = std::filesystem::temp_directory_path() / "corral-hints-XXXXXX";
    ASSERT_NE(mkdtemp(dir.data()), nullptr);
    dir_ = dir;
    path_ = dir_ + "/db";
  }
  void TearDown() override {
    corral_hints_close(hints_);
    agent_.reset();
    std::filesystem::remove_all(dir_);
  }

  void StartAgent() { agent_.emplace(path_, is_ours_); }
  void Open() {
    hints_ = corral_hints_open(path_.c_str());
    ASSERT_NE(hints_, nullptr);
  }
  bool Connected() { return corral_hints_connected(hints_, nullptr, 0) != 0; }
  std::string WhyNot() {
    std::array<char, 300> why{};
    corral_hints_connected(hints_, why.data(), why.size());
    return why.data();
  }
  Hint Mine() const { return agent_->tables->Of(getpid(), gettid()); }

  // Asks by hand; the file, if it was granted one.
  std::pair<Fd, Fd> Ask() const {
    Fd asker(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    const sockaddr_un address = AddressOf(path_);
    if (connect(asker.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
      return {};
    std::array<char, 300> text{};
    iovec part = {.iov_base = text.data(), .iov_len = text.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    int fd = -1;
    if (recvmsg(asker.get(), &message, MSG_CMSG_CLOEXEC) > 0 && CMSG_FIRSTHDR(&message) != nullptr)
      memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    return {std::move(asker), Fd(fd)};
  }

  std::string dir_;
  std::string path_;
  std::atomic<bool> is_ours_ = true;
  std::optional<Agent> agent_;
  corral_hints* hints_ = nullptr;
};

TEST_F(Hints, ArriveByAStore) {
  StartAgent();
  Open();
  ASSERT_TRUE(Eventually([&] { return Connected(); })) << WhyNot();
  EXPECT_EQ(Mine(), Hint::kNone);
  corral_hints_set(hints_, CORRAL_HINT_BATCH);
  EXPECT_EQ(Mine(), Hint::kBatch);
  EXPECT_EQ(agent_->tables->Of(getpid(), gettid() + 1), Hint::kNone);
  EXPECT_EQ(agent_->tables->Of(getppid(), gettid()), Hint::kNone);
  corral_hints_set(hints_, CORRAL_HINT_NONE);
  EXPECT_EQ(Mine(), Hint::kNone);
}

TEST_F(Hints, EndWithTheirHandle) {
  StartAgent();
  Open();
  ASSERT_TRUE(Eventually([&] { return Connected(); }));
  corral_hints_set(hints_, CORRAL_HINT_BATCH);
  corral_hints_close(std::exchange(hints_, nullptr));
  EXPECT_TRUE(Eventually([&] { return Mine() == Hint::kNone; }));
}

// Neither what was hinted before there was an agent is lost, nor what is hinted between two.
TEST_F(Hints, AreToldToEachNewAgent) {
  Open();
  EXPECT_FALSE(Connected());
  EXPECT_NE(WhyNot(), "");
  corral_hints_set(hints_, CORRAL_HINT_BATCH);
  StartAgent();
  ASSERT_TRUE(Eventually([&] { return Mine() == Hint::kBatch; })) << WhyNot();
  agent_.reset();
  EXPECT_TRUE(Eventually([&] { return !Connected(); }));
  corral_hints_set(hints_, CORRAL_HINT_NONE);
  corral_hints_set_thread(hints_, getpid() + 100, CORRAL_HINT_BATCH);
  StartAgent();
  EXPECT_TRUE(
      Eventually([&] { return agent_->tables->Of(getpid(), getpid() + 100) == Hint::kBatch; }));
  EXPECT_EQ(Mine(), Hint::kNone);
}

// A thread that hints all the time while agents come and go: its last word counts in the end.
TEST_F(Hints, NoneIsLostToAnAgentThatComesMeanwhile) {
  Open();
  for (int round = 0; round < 3; ++round) {
    std::atomic<bool> stop = false;
    std::atomic<pid_t> tid = 0;
    std::thread hinter([&] {
      tid = gettid();
      bool batch = false;
      while (!stop)
        corral_hints_set(hints_, (batch = !batch) ? CORRAL_HINT_BATCH : CORRAL_HINT_NONE);
      corral_hints_set(hints_, round % 2 ? CORRAL_HINT_BATCH : CORRAL_HINT_NONE);
    });
    StartAgent();
    EXPECT_TRUE(Eventually([&] { return Connected(); }));
    stop = true;
    hinter.join();
    EXPECT_EQ(agent_->tables->Of(getpid(), tid), round % 2 ? Hint::kBatch : Hint::kNone);
    agent_.reset();
    EXPECT_TRUE(Eventually([&] { return !Connected(); }));
  }
}

TEST_F(Hints, AreForProcessesOfTheEnclave) {
  is_ours_ = false;
  StartAgent();
  Open();
  EXPECT_TRUE(Eventually([&] {
    return WhyNot().find("has no thread in this enclave") != std::string::npos;
  })) << WhyNot();
  corral_hints_set(hints_, CORRAL_HINT_BATCH);
  EXPECT_EQ(Mine(), Hint::kNone);
  is_ours_ = true;
  EXPECT_TRUE(Eventually([&] { return Mine() == Hint::kBatch; }));
}

// Thread ids that meet in a word take hints from each other, and never give one.
TEST_F(Hints, OfOneThreadAreNoOthers) {
  StartAgent();
  Open();
  ASSERT_TRUE(Eventually([&] { return Connected(); }));
  corral_hints_set(hints_, CORRAL_HINT_BATCH);
  corral_hints_set_thread(hints_, gettid() + static_cast<int>(kHintWords), CORRAL_HINT_BATCH);
  EXPECT_EQ(Mine(), Hint::kNone);
  EXPECT_EQ(agent_->tables->Of(getpid(), gettid() + static_cast<int>(kHintWords)), Hint::kBatch);
}

// The agent must not fault on it.
TEST_F(Hints, FileKeepsItsSize) {
  StartAgent();
  const auto [asker, file] = Ask();
  ASSERT_TRUE(file);
  EXPECT_NE(ftruncate(file.get(), 0), 0);
  EXPECT_NE(ftruncate(file.get(), 1 << 20), 0);
  EXPECT_EQ(Mine(), Hint::kNone);
}

TEST_F(Hints, RubbishInTheFileIsNoHint) {
  StartAgent();
  const auto [asker, file] = Ask();
  ASSERT_TRUE(file);
  std::mt19937_64 random(1);
  std::vector<uint64_t> words(kHintWords);
  for (uint64_t& word : words) word = random();
  words[static_cast<uint32_t>(gettid()) % kHintWords] = HintWord(gettid(), 77);
  ASSERT_EQ(pwrite(file.get(), words.data(), words.size() * 8, 0),
            static_cast<ssize_t>(words.size() * 8));
  for (pid_t tid = 1; tid < 100000; ++tid)
    EXPECT_EQ(agent_->tables->Of(getpid(), tid), Hint::kNone);
}

TEST_F(Hints, WhoeverTalksIsHungUpOn) {
  StartAgent();
  const auto [asker, file] = Ask();
  ASSERT_TRUE(file);
  ASSERT_EQ(send(asker.get(), "more", 4, 0), 4);
  char byte;
  EXPECT_LE(recv(asker.get(), &byte, 1, 0), 0);
}

TEST_F(Hints, NewestConnectionOfAProcessCounts) {
  StartAgent();
  const auto [asker, file] = Ask();
  ASSERT_TRUE(file);
  Open();
  ASSERT_TRUE(Eventually([&] { return Connected(); }));
  corral_hints_set(hints_, CORRAL_HINT_BATCH);
  EXPECT_EQ(Mine(), Hint::kBatch);
  char byte;
  EXPECT_EQ(recv(asker.get(), &byte, 1, 0), 0) << "the former one is over";
}

// Processes that hold a place each: one more is told so, and gets one as soon as one ends.
TEST_F(Hints, HaveRoomForSoManyProcesses) {
  StartAgent();
  std::vector<pid_t> holders;
  for (int i = 0; i < HintTables::kMaxProcesses; ++i) {
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t holder = fork();
    if (holder == 0) {
      const auto [asker, file] = Ask();
      if (!file || write(ready[1], "y", 1) != 1) _exit(1);
      for (;;) pause();
    }
    holders.push_back(holder);
    close(ready[1]);
    char byte;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
  }
  Open();
  EXPECT_TRUE(Eventually([&] {
    return WhyNot().find("64 processes already") != std::string::npos;
  })) << WhyNot();
  kill(holders.back(), SIGKILL);
  EXPECT_TRUE(Eventually([&] { return Connected(); }));
  for (const pid_t holder : holders) {
    kill(holder, SIGKILL);
    waitpid(holder, nullptr, 0);
  }
}

}  // namespace
}  // namespace corral
