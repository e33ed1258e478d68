// SPDX-License-Identifier: Apache-2.0
// The audit log: what was written is read back, and whatever is changed in it is noticed.
#include "agent/ledger/ledger.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace corral::ledger {
namespace {

using std::chrono::seconds;

const absl::Time kBegin = absl::FromUnixSeconds(1'800'000'000);

Stretch Minute(int number) {
  return {.begin = kBegin + absl::Minutes(number),
          .end = kBegin + absl::Minutes(number + 1),
          .in_charge = seconds(60),
          .bypassed = static_cast<uint64_t>(number % 2),
          .watched = seconds(59),
          .shared = Duration(number),
          .exposed = Duration(3 * number),
          .complete = number % 3 != 0,
          .tenants = {"alpha", "br\"avo\xc3", std::to_string(number)}};
}

class LedgerTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(folder_.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string Path() const { return folder_ + "/audit.log"; }
  std::string Text() const {
    std::stringstream text;
    text << std::ifstream(Path()).rdbuf();
    return text.str();
  }
  void Overwrite(const std::string& text) const { std::ofstream(Path()) << text; }
  // `number` minutes, and the last hash.
  std::string WriteMinutes(int number) const {
    absl::StatusOr<Writer> writer = Writer::Open(Path());
    EXPECT_TRUE(writer.ok()) << writer.status();
    for (int i = 0; i < number; ++i) EXPECT_TRUE(writer->Append(Minute(i)).ok());
    return writer->head();
  }

  std::string folder_ = "/tmp/corral-ledger.XXXXXX";
};

TEST_F(LedgerTest, WhatWasWrittenIsReadBack) {
  EXPECT_TRUE(absl::IsNotFound(Read(Path()).status()));
  const std::string head = WriteMinutes(5);
  const absl::StatusOr<std::vector<Entry>> entries = Read(Path());
  ASSERT_TRUE(entries.ok()) << entries.status();
  ASSERT_EQ(entries->size(), 5u);
  std::string former;
  for (int i = 0; i < 5; ++i) {
    const Entry& entry = (*entries)[static_cast<size_t>(i)];
    Stretch written = Minute(i);
    written.tenants[1] = "br\"avo\xef\xbf\xbd";  // not UTF-8, so replaced
    EXPECT_EQ(entry.number, static_cast<uint64_t>(i + 1));
    EXPECT_EQ(entry.stretch, written);
    EXPECT_EQ(entry.former, former);
    EXPECT_EQ(entry.hash.size(), 64u);
    former = entry.hash;
  }
  EXPECT_EQ(former, head);
  struct stat file;
  ASSERT_EQ(stat(Path().c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u);
}

// As sha256sum(1) has it of the line without its hash, so that the log of one release can be
// verified by the next, and by others.
TEST_F(LedgerTest, IsSha256OverTheLineWithoutIt) {
  const std::string line =
      Format(1, Stretch{.begin = kBegin, .end = kBegin + absl::Seconds(1)}, "");
  EXPECT_EQ(line,
            "{\"begin\":\"2027-01-15T08:00:00+00:00\",\"bypassed\":0,\"complete\":true,"
            "\"end\":\"2027-01-15T08:00:01+00:00\",\"exposed_ns\":0,\"former\":\"\",\"hash\":"
            "\"e5fa5fa9b00438a88c21492d584794cf03211dda34ac202abbf571ef9b5f7a3f\",\"in_charge_ns\":"
            "0,\"number\":1,"
            "\"shared_ns\":0,\"tenants\":[],\"watched_ns\":0}");
}

TEST_F(LedgerTest, AChangeOfAnyByteIsNoticed) {
  WriteMinutes(3);
  const std::string text = Text();
  for (size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    const absl::StatusOr<std::vector<Entry>> entries = Parse(changed);
    if (i + 1 == text.size()) {
      EXPECT_EQ(entries->size(), 2u) << "the end of the last line";
    } else {
      EXPECT_TRUE(absl::IsDataLoss(entries.status())) << i << ": " << changed[i];
    }
  }
}

TEST_F(LedgerTest, ALineThatIsMissingOrTwiceOrMadeUpIsNoticed) {
  WriteMinutes(4);
  std::vector<std::string> lines;
  std::stringstream text(Text());
  for (std::string line; std::getline(text, line);) lines.push_back(line + "\n");
  EXPECT_TRUE(absl::IsDataLoss(Parse(lines[0] + lines[2] + lines[3]).status()));
  EXPECT_TRUE(absl::IsDataLoss(Parse(lines[0] + lines[1] + lines[1]).status()));
  EXPECT_TRUE(absl::IsDataLoss(Parse(lines[1] + lines[0]).status()));
  const std::string made_up = Format(2, Minute(7), "") + "\n";
  EXPECT_TRUE(absl::IsDataLoss(Parse(lines[0] + made_up).status()));
  for (const char* const other : {"\n", "7\n", "[]\n", "{}\n", "{\"hash\":\"\"}\n", "\xff\n"})
    EXPECT_TRUE(absl::IsDataLoss(Parse(lines[0] + other).status())) << other;
  EXPECT_EQ(Parse(lines[1] + lines[2])->size(), 2u) << "those before are in another file";
}

TEST_F(LedgerTest, GoesOnAfterARestartAndAPowerLoss) {
  const std::string head = WriteMinutes(2);
  Overwrite(Text() + Format(3, Minute(2), head).substr(0, 40));
  EXPECT_EQ(Read(Path())->size(), 2u);
  WriteMinutes(1);
  const absl::StatusOr<std::vector<Entry>> entries = Read(Path());
  ASSERT_TRUE(entries.ok()) << entries.status();
  ASSERT_EQ(entries->size(), 3u);
  EXPECT_EQ(entries->back().former, head);
}

TEST_F(LedgerTest, OneThatWasChangedIsLeftAlone) {
  WriteMinutes(2);
  std::string text = Text();
  text[text.size() / 2] ^= 1;
  Overwrite(text);
  EXPECT_TRUE(absl::IsDataLoss(Writer::Open(Path()).status()));
  EXPECT_EQ(Text(), text);
  EXPECT_TRUE(absl::IsUnavailable(Writer::Open(folder_ + "/nowhere/log").status()));
}

TEST_F(LedgerTest, ALongOneGoesOnInAnotherFile) {
  absl::StatusOr<Writer> writer = Writer::Open(Path(), /*most_bytes=*/2000);
  ASSERT_TRUE(writer.ok());
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(writer->Append(Minute(i)).ok());
  EXPECT_LE(std::filesystem::file_size(Path()), 2000u);
  EXPECT_LE(std::filesystem::file_size(Path() + ".1"), 2000u);
  const absl::StatusOr<std::vector<Entry>> entries = Read(Path());
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_GT(entries->size(), 4u);
  EXPECT_EQ(entries->back().number, 30u);
  EXPECT_EQ(entries->back().hash, writer->head());
  std::filesystem::remove(Path() + ".1");
  EXPECT_TRUE(Read(Path()).ok()) << "what is left can still be verified";
  EXPECT_EQ(Writer::Open(Path())->head(), writer->head());
}

TEST_F(LedgerTest, TheFileBeforeMustBeTheOneBefore) {
  absl::StatusOr<Writer> writer = Writer::Open(Path(), /*most_bytes=*/1500);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(writer->Append(Minute(i)).ok());
  std::ofstream(Path() + ".1") << Format(1, Minute(0), "") << "\n";
  EXPECT_TRUE(absl::IsDataLoss(Read(Path()).status()));
}

}  // namespace
}  // namespace corral::ledger
