// SPDX-License-Identifier: Apache-2.0
// corrald goes and comes, alone and with libvirtd, while VMs change, start and die: afterwards the
// class has what runs, once, and nothing else.
#include <signal.h>

#include "absl/strings/str_cat.h"
#include "kernel/bpf/class_files.h"
#include "tests/libvirt/attach_trace.h"
#include "tests/libvirt/operator_fixture.h"
#include "tests/libvirt/virsh.h"
#include "vmm-integration/held_vms.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// What a daemon that comes needs to look at everything.
constexpr seconds kSettled{5};

class Restarts : public OperatorTest {
 protected:
  static void SetUpTestSuite() {
    for (const char* const name : {"alpha", "beta"}) {
      Tell("define " + WriteDomain({.name = name,
                                    .vcpus = 1,
                                    .max_vcpus = 2,
                                    .guest = absl::StrCat(CORRAL_GUEST, " sleep")}));
    }
    wanted_ = {.domain = "alpha"};
    Say("start alpha");
  }
  static void TearDownTestSuite() {
    Tell("destroy alpha");
    for (const char* const name : {"alpha", "beta"}) Tell(absl::StrCat("undefine ", name));
    EXPECT_TRUE(
        Within(kSettled, [] { return corral().Tasks() == 0 && corral().Domains().empty(); }));
  }
  static void Tell(const std::string& command) {
    const VirshShell::Answer answer = virsh().Run(command);
    EXPECT_TRUE(answer.ok) << command << ": " << answer.text;
  }
};

TEST_F(Restarts, A_WhatVirshSaidMeanwhileIsTakenUp) {
  corral().StopDaemon(SIGKILL);
  Tell("schedinfo alpha --live --set cpu_shares=700");
  Tell("schedinfo alpha --live --set vcpu_quota=40000");
  Tell("setvcpus alpha 2 --live");
  Tell("start beta");
  corral().StartDaemon();
  wanted_.weight = 700;
  wanted_.cap = {milliseconds(40), milliseconds(100)};
  ExpectHeld("settings changed and a vCPU plugged while corrald was away", steady_clock::now(),
             kSettled);
  const pid_t beta = ProcessOf("beta");
  EXPECT_TRUE(Within(kSettled, [&] {
    return Difference(corral(), beta, {.domain = "beta"}).empty();
  })) << Difference(corral(), beta, {.domain = "beta"});
}

TEST_F(Restarts, B_AVmThatDiedMeanwhileIsForgotten) {
  const pid_t beta = ProcessOf("beta");
  corral().StopDaemon(SIGTERM);
  ASSERT_EQ(kill(beta, SIGKILL), 0);
  ASSERT_TRUE(Within(seconds(10), [&] { return corral().Held(beta).vcpus.empty(); }));
  corral().StartDaemon();
  EXPECT_TRUE(
      Within(kSettled, [] { return corral().Domains() == std::vector<std::string>{"alpha"}; }));
  ExpectHeld("another VM crashed while corrald was away", steady_clock::now());
}

TEST_F(Restarts, C_WithLibvirtdAtTheSameTime) {
  const std::map<uint32_t, uint64_t> before = corral().Gtids();
  corral().StopDaemon(SIGKILL);
  ASSERT_NO_FATAL_FAILURE(KillLibvirtd());
  corral().StartDaemon();
  Shell("libvirtd -d");
  ASSERT_TRUE(Within(seconds(60), [] { return virsh().Run("list").ok; })) << "no libvirtd";
  ExpectHeld("corrald and libvirtd restarted", steady_clock::now(), kSettled);
  EXPECT_EQ(corral().Gtids(), before) << "somebody was attached again";
  wanted_.weight = 300;
  Say("schedinfo alpha --live --set cpu_shares=300");
}

// beta starts while corrald hangs: QEMU makes a vCPU thread, and is stopped there.
class HeldStart : public Restarts {
 protected:
  void SetUp() override {
    ASSERT_EQ(kill(corral().daemon(), SIGSTOP), 0);
    starting_.Say("start beta");
    ASSERT_TRUE(Within(seconds(60), [] { return IsStopped(ProcessOf("beta")); }));
    beta_ = ProcessOf("beta");
    const std::map<int, pid_t> vcpus = VcpusInProc(beta_);
    ASSERT_EQ(vcpus.size(), 1u);
    vcpu_ = vcpus.begin()->second;
    const uint64_t ran = RunTime(beta_, vcpu_);
    EXPECT_FALSE(Within(seconds(2), [&] { return RunTime(beta_, vcpu_) != ran; }));
  }
  void TearDown() override { Tell("destroy beta"); }
  // Not before, and with its vCPU in the class.
  void ExpectStarted() {
    const VirshShell::Answer answer = starting_.AwaitReturn();
    EXPECT_TRUE(answer.ok) << answer.text;
    EXPECT_FALSE(IsStopped(beta_));
    EXPECT_TRUE(Within(kSettled, [&] {
      return Difference(corral(), beta_, {.domain = "beta"}).empty();
    })) << Difference(corral(), beta_, {.domain = "beta"});
  }
  static bool IsStopped(pid_t process) {
    return process > 0 &&
           Shell(absl::StrCat("sed 's/.*) //; s/ .*//' /proc/", process, "/stat")) == "T";
  }

  VirshShell starting_;
  pid_t beta_ = 0, vcpu_ = 0;
};

TEST_F(HeldStart, UntilCorraldIsThereAgain) {
  const AttachTrace trace;
  ResumeEvent resume;
  ASSERT_EQ(kill(corral().daemon(), SIGCONT), 0);
  ExpectStarted();
  EXPECT_GT(HeadStart(trace, resume, "beta"), Duration(0));
}

TEST_F(HeldStart, UntilTheNextCorraldHasIt) {
  corral().StopDaemon(SIGKILL);
  EXPECT_TRUE(IsStopped(beta_));
  const AttachTrace trace;
  ResumeEvent resume;
  corral().StartDaemon();
  ExpectStarted();
  EXPECT_GT(HeadStart(trace, resume, "beta"), Duration(0));
}

// As corralctl release does it.
TEST_F(HeldStart, UntilSomebodyGivesUp) {
  corral().StopDaemon(SIGKILL);
  EXPECT_EQ(HeldVms::ReleaseLeftovers(kHeldVmsPin), std::vector<pid_t>{beta_});
  EXPECT_FALSE(Within(seconds(1), [&] { return IsStopped(beta_); }));
  corral().StartDaemon();
  ExpectStarted();
}

}  // namespace
}  // namespace corral
