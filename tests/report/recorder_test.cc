// SPDX-License-Identifier: Apache-2.0
// What corrald records of a simulated class, and what it does about a file that it cannot use.
#include "agent/daemon/recorder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/report/ring.h"
#include "tests/sim/bare_vms.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class RecorderTest : public testing::Test {
 protected:
  RecorderTest() {
    std::string dir = testing::TempDir() + "/corral-recorder-XXXXXX";
    EXPECT_NE(mkdtemp(dir.data()), nullptr);
    dir_ = dir + "/state";
    vms_.AddVm<Spinner>(1, "red");
  }
  ~RecorderTest() override {
    std::filesystem::remove_all(std::filesystem::path(dir_).parent_path());
  }

  std::unique_ptr<Recorder> Make(Duration interval) {
    return std::make_unique<Recorder>(vms_.control(), dir_, interval, [this](const News& news) {
      absl::StrAppend(&said_, news.text, "\n");
    });
  }
  // As corrald's loop does it.
  void Pass(Recorder& recorder, Duration time) {
    for (Duration passed{0}; passed < time; passed += milliseconds(100)) {
      vms_.machine().RunFor(milliseconds(100));
      recorder.Poll(vms_.control().Now());
    }
  }
  std::string path() const { return absl::StrCat(dir_, "/", report::kRingName); }
  std::vector<report::Sample> Samples() const {
    absl::StatusOr<report::RingContents> contents = report::ReadRing(path());
    EXPECT_TRUE(contents.ok()) << contents.status();
    return contents.ok() ? contents->samples : std::vector<report::Sample>();
  }

  std::string dir_;
  BareVms vms_{1, 2};
  std::string said_;
};

TEST_F(RecorderTest, RecordsAtItsIntervalAndWhenItEnds) {
  const std::unique_ptr<Recorder> recorder = Make(seconds(10));
  Pass(*recorder, milliseconds(35050));
  recorder->Note(News(Event::kAgentLost, "the agent of vms has ended"));
  recorder->Note("no event");
  recorder->Finish();
  const std::vector<report::Sample> samples = Samples();
  ASSERT_EQ(samples.size(), 4u);
  EXPECT_NEAR(absl::ToDoubleSeconds(absl::FromChrono(samples[1].window)), 10, 0.2);
  ASSERT_EQ(samples[1].domains.size(), 1u);
  EXPECT_EQ(samples[1].domains[0].name, "red");
  EXPECT_GT(samples[1].domains[0].used, 0.9);
  EXPECT_TRUE(samples[2].told.empty());
  ASSERT_EQ(samples[3].told.size(), 1u);
  EXPECT_EQ(samples[3].told[0].event, "agent-lost");
  EXPECT_EQ(samples[3].told[0].text, "the agent of vms has ended");
  EXPECT_LT(samples[3].window, seconds(6));
  struct stat status = {};
  ASSERT_EQ(stat(dir_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  EXPECT_EQ(said_, "");
}

TEST_F(RecorderTest, GoesOnWhereTheLastOneEnded) {
  for (int i = 0; i < 3; ++i) {
    const std::unique_ptr<Recorder> recorder = Make(seconds(1));
    Pass(*recorder, milliseconds(2500));
  }
  EXPECT_EQ(Samples().size(), 6u);
}

TEST_F(RecorderTest, TurnedOffWritesNothing) {
  const std::unique_ptr<Recorder> recorder = Make(seconds(0));
  Pass(*recorder, seconds(3));
  recorder->Finish();
  EXPECT_FALSE(std::filesystem::exists(path()));
  // And on, and off.
  recorder->SetInterval(seconds(1));
  Pass(*recorder, milliseconds(1500));
  recorder->SetInterval(seconds(0));
  const size_t samples = Samples().size();
  EXPECT_EQ(samples, 2u);
  Pass(*recorder, seconds(3));
  EXPECT_EQ(Samples().size(), samples);
}

TEST_F(RecorderTest, ReplacesWhatIsNoFileOfSamplesAndSaysSo) {
  std::filesystem::create_directory(dir_);
  std::ofstream(path()) << std::string(1000, 'x');
  const std::unique_ptr<Recorder> recorder = Make(seconds(1));
  EXPECT_TRUE(absl::StrContains(said_, "the samples so far are given up")) << said_;
  EXPECT_TRUE(absl::StrContains(said_, "no file of Corral's samples")) << said_;
  Pass(*recorder, milliseconds(1500));
  EXPECT_EQ(Samples().size(), 1u);
}

TEST_F(RecorderTest, WithoutAFolderSaysSoAndLetsCorraldGoOn) {
  dir_ = "/proc/nonexistent";
  const std::unique_ptr<Recorder> recorder = Make(seconds(1));
  EXPECT_TRUE(absl::StrContains(said_, "no samples for corralctl report: cannot make")) << said_;
  const std::string once = said_;
  Pass(*recorder, seconds(3));
  recorder->Finish();
  EXPECT_EQ(said_, once);
  dir_ = testing::TempDir() + "/corral-recorder-none/state";
}

}  // namespace
}  // namespace corral
