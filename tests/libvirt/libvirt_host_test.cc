// SPDX-License-Identifier: Apache-2.0
// The source with a real libvirtd, real QEMUs and the kernel's events, in the test host.
//
// The tests run in this order and share one source: what it learnt in one is not told again in the
// next, and that is part of what is tested.
#include <gtest/gtest.h>
#include <limits.h>
#include <signal.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "tests/libvirt/recording_sink.h"
#include "tests/libvirt/virsh.h"
#include "vmm-integration/libvirt_source.h"

namespace corral {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr char kUri[] = "qemu:///system";

class LibvirtHost : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    DefineDomain("alpha", 3, 3);
    DefineDomain("beta", 2, 2);
    DefineDomain("gamma", 2, 4);
    Shell("virsh -q start alpha");
    Shell("virsh -q start beta");
    sink_ = new RecordingSink;
    sink_->run_time = RunTime;
    source_ = new LibvirtSource({.uris = {kUri}});
    const absl::Status status = source_->Start(*sink_);
    ASSERT_TRUE(status.ok()) << status;
  }
  static void TearDownTestSuite() {
    delete source_;
    delete sink_;
  }

  static pid_t Libvirtd() {
    pid_t pid = 0;
    std::ifstream("/run/libvirtd.pid") >> pid;
    EXPECT_GT(pid, 1);
    return pid > 1 ? pid : INT_MAX;  // no process has that one
  }
  static bool AwaitVcpus(const std::string& vm, size_t count) {
    return sink_->Await([&] { return sink_->VcpusOf(vm).size() == count; });
  }
  // That what was told of a VM is what QEMU has.
  static void ExpectTrue(const std::string& vm, size_t count) {
    const std::vector<RecordingSink::Vcpu> told = sink_->VcpusOf(vm);
    ASSERT_EQ(told.size(), count) << vm;
    std::map<int, pid_t> vcpus;
    for (const RecordingSink::Vcpu& vcpu : told) {
      EXPECT_EQ(vcpu.vm.uuid, UuidOf(vm));
      vcpus[vcpu.thread.vcpu] = vcpu.thread.tid;
    }
    EXPECT_EQ(vcpus, VcpusInProc(told[0].vm.pid));
  }
  static void PrintLatency(const std::string& vm) {
    for (const RecordingSink::Vcpu& vcpu : sink_->VcpusOf(vm)) {
      if (vcpu.thread.entered == Time{}) continue;
      std::cout << "latency: " << vm << " vCPU " << vcpu.thread.vcpu << " told "
                << (vcpu.told - vcpu.thread.entered) / microseconds(1)
                << " us after it entered its cgroup; it had run " << vcpu.run_time_ns / 1000
                << " us\n";
    }
  }

  static RecordingSink* sink_;
  static LibvirtSource* source_;
};

RecordingSink* LibvirtHost::sink_ = nullptr;
LibvirtSource* LibvirtHost::source_ = nullptr;

TEST_F(LibvirtHost, A_FindsWhatRanBefore) {
  // Start() has returned, so all has been told.
  ExpectTrue("alpha", 3);
  ExpectTrue("beta", 2);
  EXPECT_EQ(sink_->vcpus(), 5u);
}

// A VM that is started paused cannot have run guest code: its vCPUs must be there now.
TEST_F(LibvirtHost, B_SeesVcpusBeforeTheirVmRuns) {
  Shell("virsh -q start --paused gamma");
  EXPECT_EQ(Shell("virsh -q domstate gamma"), "paused");
  ASSERT_TRUE(AwaitVcpus("gamma", 2));
  EXPECT_EQ(Shell("virsh -q domstate gamma"), "paused");
  ExpectTrue("gamma", 2);
  for (const RecordingSink::Vcpu& vcpu : sink_->VcpusOf("gamma")) {
    EXPECT_NE(vcpu.thread.entered, Time{}) << "found by a scan, not by the kernel's word";
    EXPECT_LT(vcpu.told - vcpu.thread.entered, seconds(1));
  }
  PrintLatency("gamma");
  Shell("virsh -q resume gamma");
}

TEST_F(LibvirtHost, C_SeesAPluggedVcpu) {
  Shell("virsh -q setvcpus gamma 3 --live");
  ASSERT_TRUE(AwaitVcpus("gamma", 3));
  ExpectTrue("gamma", 3);
  EXPECT_NE(sink_->VcpusOf("gamma")[2].thread.entered, Time{});
  PrintLatency("gamma");
}

TEST_F(LibvirtHost, D_SeesAVmEnd) {
  const steady_clock::time_point begin = steady_clock::now();
  Shell("virsh -q destroy gamma");
  EXPECT_TRUE(sink_->Await([&] { return sink_->vms_gone().size() == 1; }));
  std::cout << "gone " << (steady_clock::now() - begin) / milliseconds(1)
            << " ms after virsh destroy began\n";
  EXPECT_EQ(sink_->vms_gone()[0], "gamma");
  EXPECT_EQ(sink_->vcpus_gone(), 0u);
}

// Some starts and ends: every vCPU by the kernel's word, none twice.
TEST_F(LibvirtHost, E_MissesNoneOfMany) {
  constexpr int kRounds = 3;
  for (int i = 0; i < kRounds; ++i) {
    Shell("virsh -q start gamma");
    Shell("virsh -q destroy gamma");
  }
  EXPECT_TRUE(AwaitVcpus("gamma", 3 + 2 * kRounds));
  EXPECT_TRUE(sink_->Await([&] { return sink_->vms_gone().size() == 1 + kRounds; }));
  PrintLatency("gamma");
}

TEST_F(LibvirtHost, F_KeepsVmsWhenLibvirtdIsKilled) {
  const size_t told = sink_->vcpus(), gone = sink_->vms_gone().size();
  ASSERT_EQ(kill(Libvirtd(), SIGKILL), 0);
  EXPECT_TRUE(sink_->Await([&] { return sink_->HasNotice("lost libvirt at qemu:///system"); }));
  // One ends meanwhile, the other must stay.
  const pid_t beta = sink_->VcpusOf("beta")[0].vm.pid;
  ASSERT_EQ(kill(beta, SIGKILL), 0);
  EXPECT_TRUE(
      sink_->Await([&] { return sink_->vms_gone().size() == gone + 1; }, RecordingSink::kByAScan));
  EXPECT_EQ(sink_->vms_gone().back(), "beta");
  EXPECT_EQ(sink_->vcpus(), told);
}

TEST_F(LibvirtHost, G_ResyncsWithANewLibvirtd) {
  const size_t told = sink_->vcpus(), gone = sink_->vms_gone().size();
  Shell("libvirtd -d");
  EXPECT_TRUE(sink_->Await([&] { return sink_->HasNotice("libvirt at qemu:///system is back"); }));
  // Events work again: an end is told before the next scan would find it.
  Shell("virsh -q start gamma");
  EXPECT_TRUE(sink_->Await([&] { return sink_->vcpus() == told + 2; }));
  Shell("virsh -q destroy gamma");
  EXPECT_TRUE(sink_->Await([&] { return sink_->vms_gone().size() == gone + 1; }));
  EXPECT_EQ(sink_->vcpus(), told + 2) << "nothing is told twice";
  ExpectTrue("alpha", 3);
  EXPECT_FALSE(sink_->HasNotice("UNPROTECTED"));
}

TEST_F(LibvirtHost, H_AStoppedLibvirtdHangsNobody) {
  const pid_t libvirtd = Libvirtd();
  ASSERT_EQ(kill(libvirtd, SIGSTOP), 0);
  const steady_clock::time_point begin = steady_clock::now();
  source_->Stop();
  EXPECT_LT(steady_clock::now() - begin, seconds(5));
  ASSERT_EQ(kill(libvirtd, SIGCONT), 0);
}

// A daemon that starts while libvirt's is dead finds the VM that is left, and is not misled by the
// files of one that is not.
TEST_F(LibvirtHost, I_ANewSourceNeedsNoLibvirtd) {
  Shell("virsh -q start beta");
  const std::string alpha = UuidOf("alpha");
  std::ifstream file("/run/libvirt/qemu/beta.pid");
  pid_t beta = 0;
  file >> beta;
  ASSERT_EQ(kill(Libvirtd(), SIGKILL), 0);
  ASSERT_EQ(kill(beta, SIGKILL), 0);
  RecordingSink sink;
  ASSERT_TRUE(sink.Await([&] { return VcpusInProc(beta).empty(); }));
  LibvirtSource source({.uris = {kUri}});
  ASSERT_TRUE(source.Start(sink).ok());
  ASSERT_EQ(sink.VcpusOf("alpha").size(), 3u);
  EXPECT_EQ(sink.vcpus(), 3u);
  EXPECT_EQ(sink.VcpusOf("alpha")[0].vm.uuid, alpha);
  EXPECT_TRUE(sink.Await([&] { return sink.HasNotice("libvirt does not answer"); }));
}

}  // namespace
}  // namespace corral
