// SPDX-License-Identifier: Apache-2.0
// What virsh says of a VM is what it gets: VMs that compute all the time on the two siblings of one
// core. Emulated, so what counts are shares of what all of them had on the whole, in one run.
//
// The tests run in this order, on the same VMs.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/libvirt/live_corral.h"
#include "tests/libvirt/virsh.h"
#include "tests/libvirt/virsh_shell.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr int kVcpus = 2;  // of each VM: one for each sibling

class VirshPromises : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    Shell(absl::StrCat(CORRAL_LIBVIRTD_SCRIPT, " restart"));
    corral_ = std::make_unique<LiveCorral>(LiveCorral::kAllVms, 512);
    virsh_ = std::make_unique<VirshShell>();
    Start("alpha");
    Start("bravo");
  }
  static void TearDownTestSuite() {
    virsh_.reset();
    corral_.reset();
  }

  static void Say(const std::string& command) {
    const VirshShell::Answer answer = virsh_->Run(command);
    ASSERT_TRUE(answer.ok) << command << ": " << answer.text;
  }
  static void Start(const std::string& vm) {
    ASSERT_NO_FATAL_FAILURE(
        Say("create " + WriteDomain({.name = vm,
                                     .vcpus = kVcpus,
                                     .max_vcpus = kVcpus,
                                     .guest = absl::StrCat(CORRAL_GUEST, " spin")})));
    vms_.push_back(vm);
    ASSERT_TRUE(Within(seconds(90), [&] { return Computes(vm); })) << vm << " does not boot";
  }
  // Each of its vCPUs has had 200 ms more.
  static bool Computes(const std::string& vm) {
    const pid_t process = ProcessOf(vm);
    static std::map<pid_t, uint64_t> before;
    bool all = true;
    for (const auto& [vcpu, tid] : VcpusInProc(process)) {
      const auto [first, fresh] = before.try_emplace(tid, RunTime(process, tid));
      all = all && !fresh && RunTime(process, tid) > first->second + 200'000'000;
    }
    return all;
  }

  // What each VM's vCPUs had in some time, and how long that was.
  struct Figures {
    std::vector<double> seconds;  // by VM, as they were started
    double supply = 0;            // of all of them, for each sibling
    double elapsed = 0;
    double ShareOf(size_t vm) const { return seconds[vm] / kVcpus / supply; }
  };
  static Figures Measure(milliseconds length) {
    const auto now = [] {
      std::vector<double> had;
      for (const std::string& vm : vms_) {
        double sum = 0;
        for (const auto& [vcpu, tid] : VcpusInProc(ProcessOf(vm)))
          sum += static_cast<double>(RunTime(ProcessOf(vm), tid)) / 1e9;
        had.push_back(sum);
      }
      return had;
    };
    const steady_clock::time_point begin = steady_clock::now();
    const std::vector<double> before = now();
    std::this_thread::sleep_for(length);
    Figures figures{.seconds = now()};
    figures.elapsed = std::chrono::duration<double>(steady_clock::now() - begin).count();
    for (size_t vm = 0; vm < before.size(); ++vm) {
      figures.seconds[vm] -= before[vm];
      figures.supply += figures.seconds[vm] / kVcpus;
    }
    printf("supplied %.1f %% of each CPU; the VMs had", 100 * figures.supply / figures.elapsed);
    for (size_t vm = 0; vm < before.size(); ++vm)
      printf(" %s %.2f %%", vms_[vm].c_str(), 100 * figures.ShareOf(vm));
    printf(" of that\n");
    fflush(stdout);
    return figures;
  }
  // Until what was said before governs all of a measurement.
  static void Settle() { std::this_thread::sleep_for(seconds(1)); }

  static std::unique_ptr<LiveCorral> corral_;
  static std::unique_ptr<VirshShell> virsh_;
  static std::vector<std::string> vms_;
};

std::unique_ptr<LiveCorral> VirshPromises::corral_;
std::unique_ptr<VirshShell> VirshPromises::virsh_;
std::vector<std::string> VirshPromises::vms_;

constexpr double kTolerance = 0.05;

TEST_F(VirshPromises, A_CpuSharesShiftTheTime) {
  Settle();
  // Long enough for what a turn more or less makes of it to be small.
  const Figures equal = Measure(seconds(12));
  EXPECT_NEAR(equal.seconds[0] / equal.seconds[1], 1, kTolerance) << "the control";
  ASSERT_NO_FATAL_FAILURE(Say("schedinfo alpha --live --set cpu_shares=300"));
  Settle();
  const Figures shifted = Measure(seconds(12));
  EXPECT_NEAR(shifted.seconds[0] / shifted.seconds[1], 3, 3 * kTolerance);
  ASSERT_NO_FATAL_FAILURE(Say("schedinfo alpha --live --set cpu_shares=100"));
}

TEST_F(VirshPromises, B_VcpuQuotaCaps) {
  ASSERT_NO_FATAL_FAILURE(
      Say("schedinfo alpha --live --set vcpu_period=100000 --set vcpu_quota=20000"));
  Settle();
  const Figures capped = Measure(seconds(6));
  EXPECT_NEAR(capped.seconds[0] / kVcpus / capped.elapsed, 0.2, 0.2 * kTolerance);
  ASSERT_NO_FATAL_FAILURE(Say("schedinfo alpha --live --set vcpu_quota=-1"));
}

// Three VMs want all of the core. The one with a reservation has it in each second of what the core
// gave; the other two, of which nobody said anything, show how much is noise.
TEST_F(VirshPromises, C_AReservationIsHadInEverySecond) {
  ASSERT_NO_FATAL_FAILURE(Start("charlie"));
  ASSERT_NO_FATAL_FAILURE(
      Say("metadata alpha urn:corral:domain:1 --live --key corral --set "
          "'<domain><reservation budget=\"60ms\" period=\"100ms\"/></domain>'"));
  ASSERT_TRUE(Within(seconds(30), [] {
    const HeldVm held = corral_->Held(ProcessOf("alpha"));
    for (const auto& [vcpu, task] : held.vcpus) {
      if (task.granted != milliseconds(60)) return false;
    }
    return held.vcpus.size() == kVcpus;
  })) << "the reservation is not promised";
  Settle();
  double bravo = 0, charlie = 0;
  for (int i = 0; i < 12; ++i) {
    const Figures second = Measure(seconds(1));
    EXPECT_GE(second.ShareOf(0), 0.6 * (1 - kTolerance)) << "second " << i;
    bravo += second.seconds[1];
    charlie += second.seconds[2];
  }
  EXPECT_NEAR(bravo / charlie, 1, kTolerance) << "the control";
}

TEST_F(VirshPromises, D_NobodyMet) {
  const absl::StatusOr<AuditReport> report = corral_->auditor().Read();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->total[AUDIT_VCPU_ENFORCED].time.count(), 0);
  EXPECT_FALSE(report->gaps.Any());
  EXPECT_GT(report->total.switches, 100u) << "nothing was to be seen";
}

}  // namespace
}  // namespace corral
