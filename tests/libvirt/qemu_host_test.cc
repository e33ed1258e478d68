// SPDX-License-Identifier: Apache-2.0
// The source of plain QEMUs with real ones and the kernel's word, in the test host; no libvirtd.
//
// The tests run in this order and share one source: what it learnt in one is not told again in the
// next, and that is part of what is tested.
#include <gtest/gtest.h>
#include <pthread.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/libvirt/plain_vm.h"
#include "tests/libvirt/recording_sink.h"
#include "tests/libvirt/virsh.h"
#include "vmm-integration/qemu_source.h"

namespace corral {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr char kGroup[] = "/sys/fs/cgroup/qemu.slice/100.scope";

// cgroup files take one write.
void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  EXPECT_TRUE(file.good()) << path;
}

class QemuHost : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    alpha_ = new PlainVm("alpha");
    nameless_ = new PlainVm("nameless", {.debug_threads = "off"});
    sink_ = new RecordingSink;
    sink_->run_time = RunTime;
    source_ = new QemuSource;
    const absl::Status status = source_->Start(*sink_);
    ASSERT_TRUE(status.ok()) << status;
  }
  static void TearDownTestSuite() {
    delete source_;
    delete sink_;
    delete beta_;
    delete nameless_;
    delete alpha_;
  }

  static bool AwaitVcpus(const std::string& vm, size_t count) {
    return sink_->Await([&] { return sink_->VcpusOf(vm).size() == count; });
  }
  static bool AwaitLimits(const std::string& vm, const CgroupLimits& limits,
                          milliseconds patience = RecordingSink::kPatience) {
    const auto told_so = [&] {
      const VmSettings told = sink_->SettingsOf(vm);
      return told == SettingsOf(limits, told.trust.value.uuid, vm);
    };
    return sink_->Await(told_so, patience);
  }
  // That what was told of a VM is what QEMU has.
  static void ExpectTrue(const RecordingSink& sink, const std::string& name, const PlainVm& vm,
                         size_t count) {
    const std::vector<RecordingSink::Vcpu> told = sink.VcpusOf(name);
    ASSERT_EQ(told.size(), count) << name;
    std::map<int, pid_t> vcpus;
    for (const RecordingSink::Vcpu& vcpu : told) {
      EXPECT_EQ(vcpu.vm.pid, vm.pid());
      EXPECT_EQ(vcpu.vm.uuid, told[0].vm.uuid);
      vcpus[vcpu.thread.vcpu] = vcpu.thread.tid;
    }
    EXPECT_EQ(vcpus, VcpusInProc(vm.pid()));
  }
  static void ExpectByTheKernelsWord(const std::string& name) {
    for (const RecordingSink::Vcpu& vcpu : sink_->VcpusOf(name)) {
      EXPECT_NE(vcpu.thread.entered, Time{}) << "found by a scan, not by the kernel's word";
      std::cout << "latency: " << name << " vCPU " << vcpu.thread.vcpu << " told "
                << (vcpu.told - vcpu.thread.entered) / microseconds(1)
                << " us after it took its name; it had run " << vcpu.run_time_ns / 1000 << " us\n";
    }
  }

  static RecordingSink* sink_;
  static QemuSource* source_;
  static PlainVm* alpha_;
  static PlainVm* beta_;
  static PlainVm* nameless_;
};

RecordingSink* QemuHost::sink_ = nullptr;
QemuSource* QemuHost::source_ = nullptr;
PlainVm* QemuHost::alpha_ = nullptr;
PlainVm* QemuHost::beta_ = nullptr;
PlainVm* QemuHost::nameless_ = nullptr;

TEST_F(QemuHost, A_FindsWhatRanBefore) {
  // Start() has returned, so all has been told.
  ExpectTrue(*sink_, "alpha", *alpha_, 2);
  EXPECT_EQ(sink_->vcpus(), 2u);
}

// A VM that is started paused cannot have run guest code: its vCPUs must be there now.
TEST_F(QemuHost, B_SeesVcpusBeforeTheirVmRuns) {
  beta_ = new PlainVm("beta");
  ASSERT_TRUE(AwaitVcpus("beta", 2));
  EXPECT_TRUE(absl::StrContains(beta_->Ask("info status"), "paused"));
  ExpectTrue(*sink_, "beta", *beta_, 2);
  ExpectByTheKernelsWord("beta");
  beta_->Ask("cont");
  EXPECT_TRUE(absl::StrContains(beta_->Ask("info status"), "running"));
}

TEST_F(QemuHost, C_SeesAPluggedVcpu) {
  const std::string answer =
      beta_->Ask("device_add qemu64-x86_64-cpu,id=plugged,socket-id=2,core-id=0,thread-id=0");
  ASSERT_TRUE(AwaitVcpus("beta", 3)) << answer;
  ExpectTrue(*sink_, "beta", *beta_, 3);
  ExpectByTheKernelsWord("beta");
}

TEST_F(QemuHost, D_ReadsWhatTheCgroupGrants) {
  std::filesystem::create_directory("/sys/fs/cgroup/qemu.slice");
  WriteFile("/sys/fs/cgroup/qemu.slice/cgroup.subtree_control", "+cpu");
  std::filesystem::create_directory(kGroup);
  WriteFile(absl::StrCat(kGroup, "/cpu.weight"), "300");
  WriteFile(absl::StrCat(kGroup, "/cgroup.procs"), absl::StrCat(beta_->pid()));
  EXPECT_TRUE(AwaitLimits("beta", {.weight = 300}, RecordingSink::kByAScan));
  // The kernel tells who watches when the file of a limit is written.
  CgroupLimitsWatcher watcher = CgroupLimitsWatcher::Start().value();
  watcher.Watch({beta_->pid()});
  EXPECT_FALSE(watcher.Drain());
  WriteFile(absl::StrCat(kGroup, "/cpu.max"), "50000 100000");
  EXPECT_TRUE(watcher.Drain());
  EXPECT_TRUE(
      AwaitLimits("beta", {.weight = 300, .quota = milliseconds(50), .period = milliseconds(100)}));
  EXPECT_FALSE(watcher.Drain());
  WriteFile("/sys/fs/cgroup/qemu.slice/cpu.max", "20000 100000");
  EXPECT_TRUE(watcher.Drain()) << "of a group above";
  EXPECT_TRUE(
      AwaitLimits("beta", {.weight = 300, .quota = milliseconds(20), .period = milliseconds(100)}));
  EXPECT_EQ(sink_->settings_told("alpha"), 1u) << "nothing new of another VM";
}

TEST_F(QemuHost, E_AnEmulatorWithOneThreadForAllVcpusOfAnotherUser) {
  const PlainVm vm("single", {.accelerator = "tcg,thread=single",
                              .as = {"setpriv", "--reuid=65534", "--clear-groups"}});
  ASSERT_TRUE(AwaitVcpus("single", 1));
  EXPECT_EQ(sink_->VcpusOf("single")[0].thread.vcpu, 0);
  ExpectByTheKernelsWord("single");
}

TEST_F(QemuHost, F_SeesAVmEnd) {
  const auto gone = [&](size_t count) {
    return sink_->Await([&] { return sink_->vms_gone().size() == count; }, RecordingSink::kByAScan);
  };
  EXPECT_TRUE(gone(1));
  EXPECT_EQ(sink_->vms_gone()[0], "single");
  beta_->Kill();
  EXPECT_TRUE(gone(2));
  EXPECT_EQ(sink_->vms_gone()[1], "beta");
  EXPECT_EQ(sink_->vcpus_gone(), 0u);
}

// Several starts and ends: every vCPU by the kernel's word, none twice.
TEST_F(QemuHost, G_MissesNoneOfMany) {
  constexpr int kRounds = 4;
  for (int i = 0; i < kRounds; ++i) PlainVm("gamma");
  EXPECT_TRUE(AwaitVcpus("gamma", 2 * kRounds));
  EXPECT_TRUE(sink_->Await([&] { return sink_->vms_gone().size() == 2 + kRounds; },
                           RecordingSink::kByAScan));
  ExpectByTheKernelsWord("gamma");
}

// Whoever names his threads as QEMU does is no VM, cannot keep the watcher busy with few of them,
// and is counted when he has more than it can hold.
TEST_F(QemuHost, H_NamesOfOthers) {
  const std::unique_ptr<NameWatcher> watcher = NameWatcher::Start().value();
  const auto reports = [&] {
    int count = 0;
    watcher->Drain([&](const VcpuName& name) { count += name.tgid == getpid(); });
    return count;
  };
  const size_t told = sink_->vcpus();
  std::thread([] {
    for (int i = 0; i < 20000; ++i)
      pthread_setname_np(pthread_self(), i % 2 == 0 ? "CPU 0/KVM" : "CPU 1/KVM");
  }).join();
  EXPECT_EQ(reports(), 1);
  EXPECT_EQ(watcher->lost(), 0u);
  for (int i = 0; i < 2000; ++i)
    std::thread([] { pthread_setname_np(pthread_self(), "CPU 0/KVM"); }).join();
  EXPECT_EQ(static_cast<uint64_t>(reports()) + watcher->lost(), 2000u);
  EXPECT_GT(watcher->lost(), 0u);
  EXPECT_EQ(sink_->vcpus(), told);
}

TEST_F(QemuHost, I_AScanAloneFindsTheSame) {
  const PlainVm delta("delta");
  ASSERT_TRUE(AwaitVcpus("delta", 2));
  RecordingSink sink;
  QemuSource source({.watch_names = false});
  ASSERT_TRUE(source.Start(sink).ok());
  EXPECT_EQ(sink.vcpus(), 4u);
  ExpectTrue(sink, "alpha", *alpha_, 2);
  ExpectTrue(sink, "delta", delta, 2);
  for (const char* name : {"alpha", "delta"})
    EXPECT_EQ(sink.VcpusOf(name)[0].vm.uuid, sink_->VcpusOf(name)[0].vm.uuid) << name;
}

TEST_F(QemuHost, J_NamelessThreadsWereToldOnce) {
  EXPECT_TRUE(sink_->HasNotice(absl::StrCat("UNPROTECTED: QEMU process ", nameless_->pid(),
                                            " (nameless) gives its threads no names")));
  EXPECT_EQ(sink_->notices().size(), 1u);
  EXPECT_TRUE(sink_->VcpusOf("nameless").empty());
}

}  // namespace
}  // namespace corral
