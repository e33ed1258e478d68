// SPDX-License-Identifier: Apache-2.0
// VMs start and end and get more vCPUs, in random order, beside one that computes: nobody meets
// anybody, the class has a vCPU before its guest runs, has exactly what libvirt runs, and nothing
// is left behind.
//
// CORRAL_CHURN: how many starts, and how many plugs, at least; 20 unless said otherwise.
// CORRAL_SEED repeats a run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/environment.h"
#include "tests/libvirt/attach_trace.h"
#include "tests/libvirt/footprint.h"
#include "tests/libvirt/live_corral.h"
#include "tests/libvirt/virsh.h"
#include "tests/libvirt/virsh_shell.h"
#include "vmm-integration/libvirt_source.h"

namespace corral {
namespace {

using std::chrono::seconds;

constexpr int kMaxVcpus = 4;
// The class gives each domain slots by 64: as many as there are VMs at once, so that one start too
// many shows what is not given back.
constexpr int kTasks = 4 * 64;

// One that comes and goes.
struct Guest {
  std::string name;
  bool runs = false;
  int vcpus = 0;
};

class Churn : public testing::Test {
 protected:
  void SetUp() override {
    Shell(absl::StrCat(CORRAL_LIBVIRTD_SCRIPT, " restart"));
    corral_ = std::make_unique<LiveCorral>(LiveCorral::kAllVms, kTasks);
    virsh_ = std::make_unique<VirshShell>();
    for (const char* const name : {"red", "green", "blue"}) guests_.push_back({.name = name});
    for (const Guest& guest : guests_) Define(guest.name, 1);
    Define("neighbour", kMaxVcpus);
    Say("start neighbour");
    EXPECT_TRUE(Within(seconds(1), [&] { return IsHeld("neighbour"); }));
  }
  void TearDown() override {
    Say("destroy neighbour");
    virsh_.reset();
    corral_.reset();
  }

  void Say(const std::string& command) {
    const VirshShell::Answer answer = virsh_->Run(command);
    EXPECT_TRUE(answer.ok) << command << ": " << answer.text;
  }
  void Define(const std::string& name, int vcpus) {
    Say("define " + WriteDomain({.name = name,
                                 .vcpus = vcpus,
                                 .max_vcpus = kMaxVcpus,
                                 .guest = absl::StrCat(CORRAL_GUEST, " sleep")}));
  }
  bool IsHeld(const std::string& vm) const {
    const pid_t process = ProcessOf(vm);
    std::map<int, pid_t> vcpus;
    for (const auto& [vcpu, task] : corral_->Held(process).vcpus) vcpus[vcpu] = task.tid;
    return !vcpus.empty() && vcpus == VcpusInProc(process);
  }
  void Start(Guest& guest) {
    ResumeEvent resume;
    const AttachTrace trace;
    Say("start " + guest.name);
    head_starts_.push_back(HeadStart(trace, resume, guest.name));
    guest.runs = true;
    guest.vcpus = 1;
  }
  void Destroy(Guest& guest) {
    Say("destroy " + guest.name);
    guest.runs = false;
  }
  void Plug(Guest& guest) {
    Say(absl::StrCat("setvcpus ", guest.name, " ", ++guest.vcpus, " --live"));
  }
  // What libvirt runs, and nothing else, is in the class within a second.
  void ExpectInStep() {
    EXPECT_TRUE(Within(seconds(1),
                       [&] {
                         int tasks = kMaxVcpus;
                         for (const Guest& guest : guests_) {
                           if (guest.runs && !IsHeld(guest.name)) return false;
                           tasks += guest.runs ? guest.vcpus : 0;
                         }
                         return corral_->Tasks() == tasks;
                       }))
        << corral_->Tasks() << " tasks";
  }
  // At least so many starts and plugs, in random order with ends; all have ended afterwards.
  void Run(int each, std::mt19937& random) {
    int starts = 0, plugs = 0;
    while (starts < each || plugs < each) {
      Guest& guest = guests_[random() % guests_.size()];
      if (!guest.runs) {
        Start(guest);
        ++starts;
      } else if (guest.vcpus < kMaxVcpus && random() % 3 != 0) {
        Plug(guest);
        ++plugs;
      } else {
        Destroy(guest);
      }
      ASSERT_NO_FATAL_FAILURE(ExpectInStep());
    }
    for (Guest& guest : guests_) {
      if (guest.runs) Destroy(guest);
    }
    ExpectInStep();
    EXPECT_TRUE(Within(seconds(5), [&] { return corral_->Domains().size() == 1; }))
        << corral_->Domains().size() << " domains are left";
  }

  // What was closed at the last end has been closed, and what a rescan opens too.
  static void Settle() { std::this_thread::sleep_for(ScanPace::kMostOften + seconds(1)); }
  // Those in which QEMU let a vCPU go before the class had it.
  int LateStarts() const {
    return static_cast<int>(std::count_if(head_starts_.begin(), head_starts_.end(),
                                          [](Duration time) { return time <= Duration(0); }));
  }
  void PrintHeadStarts() const {
    const auto [least, most] = std::minmax_element(head_starts_.begin(), head_starts_.end());
    printf(
        "%zu starts: the vCPUs were in the class %lld to %lld us before QEMU let them go, %d "
        "late\n",
        head_starts_.size(), static_cast<long long>(*least / std::chrono::microseconds(1)),
        static_cast<long long>(*most / std::chrono::microseconds(1)), LateStarts());
  }
  pid_t AgentProcess() const { return std::stoi(Shell("pgrep -x corral-agent")); }

  std::unique_ptr<LiveCorral> corral_;
  std::unique_ptr<VirshShell> virsh_;
  std::vector<Guest> guests_;
  std::vector<Duration> head_starts_;  // of each start
};

void PrintExposure(const AuditReport& report) {
  std::vector<long long> us;
  for (const AuditThread& thread : report.threads) {
    if (thread.kind == AUDIT_VCPU) us.push_back(thread.exposure / std::chrono::microseconds(1));
  }
  std::sort(us.begin(), us.end());
  const auto part = [&](size_t percent) { return us[(us.size() - 1) * percent / 100]; };
  printf(
      "exposure of %zu vCPUs before the class had them: p50 %lld us, p99 %lld us, max %lld us; "
      "beside another VM's vCPU %lld us\n",
      us.size(), part(50), part(99), us.back(),
      static_cast<long long>(report.total[AUDIT_VCPU_EXPOSED].time / std::chrono::microseconds(1)));
}

TEST_F(Churn, LeavesNothingBehind) {
  const auto seed = static_cast<uint32_t>(FromEnvironment("CORRAL_SEED", 1));
  const int starts = FromEnvironment("CORRAL_CHURN", 20);
  printf("%d starts and plugs, seed %u\n", starts, seed);
  std::mt19937 random(seed);
  ASSERT_TRUE(corral_->auditor().Reset().ok());
  // What is made once has been made after some.
  Run(starts / 4, random);
  Settle();
  const Footprint corrald = FootprintOf(corral_->daemon()), agent = FootprintOf(AgentProcess());
  Run(starts - starts / 4, random);
  Settle();
  const Footprint corrald_now = FootprintOf(corral_->daemon()),
                  agent_now = FootprintOf(AgentProcess());
  printf("corrald: %zu descriptors, %ld KiB before, %ld KiB after; agent: %zu, %ld KiB, %ld KiB\n",
         corrald_now.descriptors, corrald.resident_kib, corrald_now.resident_kib,
         agent_now.descriptors, agent.resident_kib, agent_now.resident_kib);
  EXPECT_EQ(corrald_now.descriptors, corrald.descriptors);
  EXPECT_EQ(corrald_now.threads, corrald.threads);
  EXPECT_LE(corrald_now.resident_kib, corrald.resident_kib + 512);
  EXPECT_EQ(agent_now.descriptors, agent.descriptors);
  EXPECT_EQ(agent_now.threads, agent.threads);
  EXPECT_EQ(agent_now.resident_kib, agent.resident_kib) << "its memory is locked";
  const absl::StatusOr<AuditReport> report = corral_->auditor().Read();
  ASSERT_TRUE(report.ok()) << report.status();
  PrintExposure(*report);
  PrintHeadStarts();
  EXPECT_EQ(LateStarts(), 0);
  EXPECT_EQ(report->total[AUDIT_VCPU_ENFORCED].time.count(), 0);
  EXPECT_EQ(report->gaps.missed_switch_probes, 0u);
  EXPECT_EQ(report->gaps.missed_switches, 0u);
}

}  // namespace
}  // namespace corral
