// SPDX-License-Identifier: Apache-2.0
// What is written down during a replacement of the class: read back, cut off, locked.
#include "agent/class/handover_record.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "agent/class/class_successor.h"

namespace corral {
namespace {

class HandoverRecordTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(folder_.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string Path() const { return folder_ + "/class-handover.json"; }
  void WriteText(const std::string& text) const { std::ofstream(Path()) << text; }

  std::string folder_ = "/tmp/corral-handover.XXXXXX";
};

TEST_F(HandoverRecordTest, IsReadBack) {
  const HandoverFile file(folder_);
  EXPECT_FALSE(file.Read()->has_value());
  HandoverRecord record{.stopped = PausedVms::Parse("100:101,102;200:201"),
                        .sizes = {.tasks = 128, .domains = 9}};
  ASSERT_TRUE(file.Write(record).ok());
  EXPECT_TRUE((*file.Read())->state.is_null());
  record.state = {{"enclaves", nlohmann::json::array()}, {"name", "cut off: \xc3"}};
  ASSERT_TRUE(file.Write(record).ok());
  const std::optional<HandoverRecord> read = *file.Read();
  EXPECT_EQ(read->stopped.Text(), "100:101,102;200:201");
  EXPECT_EQ(read->sizes.tasks, 128u);
  EXPECT_EQ(read->sizes.domains, 9u);
  EXPECT_TRUE(read->state["enclaves"].is_array());
  file.Remove();
  EXPECT_FALSE(file.Read()->has_value());
}

// Only a hand can do that: it is written under another name first.
TEST_F(HandoverRecordTest, CutOffAnywhereItSaysWhatToDo) {
  const HandoverFile file(folder_);
  ASSERT_TRUE(file.Write({.stopped = PausedVms::Parse("100:101"), .state = {{"a", 1}}}).ok());
  std::ifstream written(Path());
  std::string text;
  std::getline(written, text);
  for (size_t length = 0; length < text.size(); ++length) {
    WriteText(text.substr(0, length));
    const auto read = file.Read();
    ASSERT_EQ(read.status().code(), absl::StatusCode::kDataLoss) << length;
    EXPECT_NE(read.status().message().find("kill -CONT"), std::string::npos);
  }
  for (const char* const other : {"7", "[]", "{}", "{\"stopped\":7}"}) {
    WriteText(other);
    EXPECT_EQ(file.Read().status().code(), absl::StatusCode::kDataLoss) << other;
  }
  WriteText("{\"stopped\":\"\",\"tasks\":\"many\",\"domains\":-1}");
  EXPECT_EQ((*file.Read())->sizes.tasks, ClassSizes().tasks);
}

TEST_F(HandoverRecordTest, AFolderThatIsNotThereIsAnError) {
  const HandoverFile file(folder_ + "/nowhere");
  EXPECT_FALSE(file.Read()->has_value());
  EXPECT_TRUE(absl::IsUnavailable(file.Write({})));
  EXPECT_TRUE(absl::IsUnavailable(file.Lock(Duration(0)).status()));
}

TEST_F(HandoverRecordTest, OneAtATimeIsAtWorkOnIt) {
  const HandoverFile file(folder_);
  absl::StatusOr<Fd> lock = file.Lock(Duration(0));
  ASSERT_TRUE(lock.ok());
  EXPECT_TRUE(absl::IsUnavailable(file.Lock(std::chrono::milliseconds(50)).status()));
  *lock = Fd();
  EXPECT_TRUE(file.Lock(Duration(0)).ok());
}

// A process that was stopped, and nothing else, goes on.
TEST_F(HandoverRecordTest, WhoeverWasStoppedForNothingGoesOn) {
  EXPECT_FALSE(*MendHandover(folder_)) << "nothing to mend";
  const pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  const std::string text = std::to_string(child) + ":" + std::to_string(child);
  const PausedVms stopped = PausedVms::Parse(text);
  stopped.Stop();
  ASSERT_TRUE(stopped.AwaitStopped(std::chrono::seconds(10)).ok());
  PausedVms none = stopped;
  none.LeaveOutStopped();
  EXPECT_TRUE(none.empty());
  ASSERT_TRUE(HandoverFile(folder_).Write({.stopped = stopped}).ok());
  EXPECT_TRUE(*MendHandover(folder_));
  EXPECT_FALSE(std::filesystem::exists(Path()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(stopped.AwaitStopped(std::chrono::milliseconds(300))));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace corral
