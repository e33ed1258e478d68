// SPDX-License-Identifier: Apache-2.0
// Agents that turn out badly after they took over, and programs that are replaced while they run:
// the former policy, or the former program, comes back within the time of the trial, the VMs run
// through it, and no core runs two of them. Runs as root in the test host.
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "agent/views/running_agent.h"
#include "tests/class/agent_host_fixture.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kTrial = seconds(8);
// Beyond the trial: the takeover back, on a slow machine.
constexpr Duration kBack = seconds(4);
constexpr char kTenure[] = "{\"tenure\":\"20ms\"}";
constexpr char kProgram[] = "/run/corral-host/agent-that-is-replaced";

class RollbackTest : public AgentHostTest {
 protected:
  AgentSpec Broken() const {
    AgentSpec spec = SpecOf("fifo", "{}");
    spec.program = CORRAL_BROKEN_AGENT;
    return spec;
  }
  // What the supervisor says of a rollback; "" if there is none in time. An agent that dies before
  // its predecessor has gone takes nothing over, which `switched` tells.
  std::string AwaitRollback(const absl::Status& switched) {
    if (!switched.ok()) return std::string(switched.message());
    const Time end = kernel_->Now() + kTrial + kBack;
    while (kernel_->Now() < end) {
      const News news = supervisor_->Poll(kernel_->Now());
      if (!news.text.empty()) printf("%s\n", news.text.c_str());
      if (news.event == Event::kPolicyRolledBack) return news.text;
      std::this_thread::sleep_for(milliseconds(50));
    }
    return "";
  }
  std::string PolicyThatServes() const {
    const absl::StatusOr<RunningAgent> agent = IdentifyAgent(AgentProcess());
    return agent.ok() ? agent->policy : std::string(agent.status().message());
  }
  void ExpectSoundVms(const std::vector<Duration>& before) {
    std::this_thread::sleep_for(seconds(1));
    ExpectProgress(vms_, before, milliseconds(10));  // some sleep most of the time
    const absl::StatusOr<AuditReport> report = auditor_->Read();
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->total[AUDIT_VCPU_ENFORCED].time.count(), 0);
  }
  // At the path that is replaced, under another name at first: the file that runs stays as it is.
  static void Install(const std::string& program) {
    const std::string next = std::string(kProgram) + ".next";
    std::filesystem::copy_file(program, next, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::rename(next, kProgram);
  }
  void TearDown() override {
    vms_.clear();
    unsetenv("CORRAL_BROKEN");
    AgentHostTest::TearDown();
  }

  VmProcesses vms_;
};

struct Breakage {
  const char* fault;
  const char* says;
};

class BrokenAgent : public RollbackTest, public testing::WithParamInterface<Breakage> {};

TEST_P(BrokenAgent, MakesWayForItsPredecessorsLike) {
  ASSERT_NO_FATAL_FAILURE(StartAgentAndVms(vms_));
  const std::vector<Duration> before = CpuTimes(vms_);
  setenv("CORRAL_BROKEN", GetParam().fault, 1);
  supervisor_->set_trial(kTrial);
  const Time begin = kernel_->Now();
  const absl::Status switched = supervisor_->SwitchTo(Broken());
  const std::string said = AwaitRollback(switched);
  printf("%s: after %lld ms: %s\n", GetParam().fault,
         static_cast<long long>((kernel_->Now() - begin) / milliseconds(1)), said.c_str());
  EXPECT_TRUE(absl::StrContains(said, GetParam().says)) << said;
  EXPECT_TRUE(absl::StrContains(said, "secure_vm")) << said;
  ASSERT_NO_FATAL_FAILURE(AwaitAgent());
  EXPECT_EQ(PolicyThatServes(), "secure_vm");
  EXPECT_EQ(supervisor_->spec().policy, "secure_vm");
  ExpectSoundVms(before);
}

INSTANTIATE_TEST_SUITE_P(Breakages, BrokenAgent,
                         testing::Values(Breakage{"constructor", "goes on"},
                                         Breakage{"100th_decision", "was killed by signal 6"},
                                         Breakage{"never_commits", "let tasks wait"},
                                         Breakage{"nonsense", "let tasks wait"}),
                         [](const auto& info) { return std::string(info.param.fault); });

TEST_F(RollbackTest, AGoodOneStays) {
  ASSERT_NO_FATAL_FAILURE(StartAgentAndVms(vms_));
  const std::vector<Duration> before = CpuTimes(vms_);
  supervisor_->set_trial(seconds(2));
  ASSERT_TRUE(supervisor_->SwitchTo(SpecOf("fifo", "{}")).ok());
  const Time end = kernel_->Now() + seconds(4);
  while (kernel_->Now() < end) {
    EXPECT_EQ(supervisor_->Poll(kernel_->Now()).text, "");
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_EQ(PolicyThatServes(), "fifo");
  ExpectSoundVms(before);
}

// As a package update does it, and a daemon that comes after it.
TEST_F(RollbackTest, AProgramThatWasReplacedTakesOverInPlace) {
  Install(CORRAL_AGENT_PROGRAM);
  AgentSpec spec = SpecOf("secure_vm", kTenure);
  spec.program = kProgram;
  supervisor_.emplace(*kernel_, spec);
  ASSERT_NO_FATAL_FAILURE(AwaitAgent());
  const pid_t old = AgentProcess();
  ASSERT_TRUE(supervisor_->MatchSpec().ok());
  EXPECT_EQ(AgentProcess(), old) << "nothing was replaced";
  EXPECT_TRUE(supervisor_->IsFrom(kProgram));
  Install(CORRAL_AGENT_PROGRAM);
  EXPECT_FALSE(supervisor_->IsFrom(kProgram));
  ASSERT_TRUE(supervisor_->MatchSpec().ok());
  EXPECT_NE(AgentProcess(), old);
  EXPECT_TRUE(supervisor_->IsFrom(kProgram));
  EXPECT_TRUE(supervisor_->Serving());
}

TEST_F(RollbackTest, AnUpgradeThatFailsBringsTheFormerProgramBackThoughItsFileIsGone) {
  Install(CORRAL_AGENT_PROGRAM);
  AgentSpec spec = SpecOf("fifo", "{}");
  spec.program = kProgram;
  supervisor_.emplace(*kernel_, spec);
  ASSERT_NO_FATAL_FAILURE(AwaitAgent());
  vms_.push_back(std::make_unique<VmProcess>(/*spinners=*/2, /*sleepers=*/4));
  AttachAll(vms_);
  ASSERT_TRUE(auditor_->Reset().ok());
  const std::vector<Duration> before = CpuTimes(vms_);
  Install(CORRAL_BROKEN_AGENT);
  setenv("CORRAL_BROKEN", "100th_decision", 1);
  supervisor_->set_trial(kTrial);
  const std::string said = AwaitRollback(supervisor_->MatchSpec());
  EXPECT_TRUE(absl::StrContains(said, "was killed by signal 6")) << said;
  ASSERT_NO_FATAL_FAILURE(AwaitAgent());
  EXPECT_FALSE(supervisor_->IsFrom(kProgram));
  EXPECT_TRUE(supervisor_->IsFrom(supervisor_->spec().program));
  EXPECT_EQ(PolicyThatServes(), "fifo");
  ExpectSoundVms(before);
}

}  // namespace
}  // namespace corral
