// SPDX-License-Identifier: Apache-2.0
// The file of which Node Feature Discovery makes labels: what it says, when it is written again,
// and that it is not written where nobody reads it.
#include "agent/daemon/node_features.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "absl/strings/str_cat.h"

namespace corral {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

class NodeFeaturesTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(root_);
    fs::create_directories(root_ / "sys/kernel/sched_ext/root");
    InCharge(true);
    vms_.policy = "secure_vm";
  }
  void TearDown() override { fs::remove_all(root_); }

  void InCharge(bool ours) {
    std::ofstream(root_ / "sys/kernel/sched_ext/state") << (ours ? "enabled\n" : "disabled\n");
    std::ofstream(root_ / "sys/kernel/sched_ext/root/ops") << "corral\n";
  }
  void MakeFolder() { fs::create_directories(file_.parent_path()); }
  void PollAt(seconds now, const EnclaveConfig* vms) {
    features_.Poll(Time(now), absl::FromUnixSeconds(1764597600) + absl::FromChrono(now), vms);
  }
  std::string Text() const {
    std::stringstream text;
    text << std::ifstream(file_).rdbuf();
    return text.str();
  }
  bool Has(const std::string& line) const {
    return ("\n" + Text()).find("\n" + line + "\n") != std::string::npos;
  }

  // Tests may run at the same time, each in a process of its own.
  const fs::path root_ = fs::path(testing::TempDir()) / absl::StrCat("node_features.", getpid());
  const fs::path file_ = root_ / "etc/kubernetes/node-feature-discovery/features.d/corral";
  std::vector<std::string> told_;
  NodeFeatures features_{[this](const News& news) { told_.push_back(news.text); }, root_.string()};
  EnclaveConfig vms_;
};

TEST_F(NodeFeaturesTest, AreWrittenOnlyWhereSomebodyReadsThem) {
  PollAt(seconds(1), &vms_);
  EXPECT_FALSE(fs::exists(root_ / "etc"));
  MakeFolder();
  PollAt(seconds(3), &vms_);
  EXPECT_TRUE(fs::exists(file_));
  EXPECT_TRUE(told_.empty());
}

TEST_F(NodeFeaturesTest, SayWhatHoldsAndUntilWhen) {
  MakeFolder();
  vms_.admission = Admission::kStrict;
  PollAt(seconds(10), &vms_);
  EXPECT_TRUE(Has("corral.isolation=true")) << Text();
  EXPECT_TRUE(Has("corral.admission=strict")) << Text();
  EXPECT_TRUE(Has("corral.policy=secure_vm")) << Text();
  EXPECT_TRUE(Has("# +expiry-time=2025-12-01T14:03:10Z")) << Text();
  // nfd-worker would take a draft for a file of features.
  EXPECT_EQ(std::distance(fs::directory_iterator(file_.parent_path()), fs::directory_iterator()),
            1);
}

TEST_F(NodeFeaturesTest, AreWrittenAnewBeforeTheyExpireAndNotMoreOften) {
  MakeFolder();
  PollAt(seconds(10), &vms_);
  const std::string first = Text();
  PollAt(seconds(60), &vms_);
  EXPECT_EQ(Text(), first);
  PollAt(seconds(71), &vms_);
  EXPECT_TRUE(Has("# +expiry-time=2025-12-01T14:04:11Z")) << Text();
}

TEST_F(NodeFeaturesTest, SayAtOnceWhatDoesNotHoldAnyMore) {
  MakeFolder();
  PollAt(seconds(10), &vms_);
  InCharge(false);
  PollAt(seconds(12), &vms_);
  EXPECT_TRUE(Has("corral.isolation=false")) << Text();
  EXPECT_EQ(Text().find("policy"), std::string::npos) << Text();
  InCharge(true);
  PollAt(seconds(14), &vms_);
  EXPECT_TRUE(Has("corral.isolation=true")) << Text();
  PollAt(seconds(16), nullptr);
  EXPECT_TRUE(Has("corral.isolation=false")) << Text();
}

TEST_F(NodeFeaturesTest, TellOnceThatTheyCannotBeWritten) {
  MakeFolder();
  fs::create_directory(file_);
  for (int i = 1; i < 10; ++i) PollAt(seconds(2 * i), &vms_);
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_NE(told_[0].find("no labels for Kubernetes"), std::string::npos) << told_[0];
}

}  // namespace
}  // namespace corral
