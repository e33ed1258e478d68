// SPDX-License-Identifier: Apache-2.0
// The source on trees made for the test, with libvirt's built-in test driver: no privilege, no
// daemon.
#include "vmm-integration/libvirt_source.h"

#include <gtest/gtest.h>

#include "tests/libvirt/fake_host.h"
#include "tests/libvirt/recording_sink.h"
#include "vmm-integration/known_vms.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr char kNobody[] = "qemu+unix:///system?socket=/nonexistent/libvirt-sock";
constexpr char kGroupA[] = "/machine.slice/machine-qemu\\x2d1\\x2da.scope/libvirt";

class LibvirtSourceTest : public FakeHost {
 protected:
  LibvirtSourceOptions Options(const std::string& uri, VmThreads which = VmThreads::kVcpus) const {
    return {.uris = {uri}, .which = which, .root = root_, .watch_cgroups = false};
  }
  RecordingSink sink_;
};

TEST_F(LibvirtSourceTest, StartTellsWhatRunsWithoutLibvirt) {
  AddVm(100, "a", kUuidA, 2, kGroupA);
  AddVm(200, "b", kUuidB, 1, "/machine/qemu-2-b.libvirt-qemu");
  LibvirtSource source(Options(kNobody));
  ASSERT_TRUE(source.Start(sink_).ok());
  ASSERT_EQ(sink_.vcpus(), 3u) << "told before Start() returned";
  const std::vector<RecordingSink::Vcpu> a = sink_.VcpusOf("a");
  ASSERT_EQ(a.size(), 2u);
  EXPECT_EQ(a[1].vm.uuid, kUuidA);
  EXPECT_EQ(a[1].vm.pid, 100);
  EXPECT_EQ(a[1].thread.tid, 102);
  EXPECT_EQ(a[1].thread.vcpu, 1);
  EXPECT_EQ(a[1].thread.start_time, 1002u);
  EXPECT_EQ(a[1].thread.entered, Time{});
  EXPECT_TRUE(sink_.Await([&] { return sink_.HasNotice("libvirt does not answer at"); }));
  EXPECT_TRUE(sink_.HasNotice("start libvirtd or virtqemud"));
  // Quiet from here on, though it tries again.
  std::this_thread::sleep_for(milliseconds(2500));
  EXPECT_EQ(sink_.notices().size(), 1u);
  EXPECT_EQ(sink_.vcpus(), 3u) << "nothing is told twice";
}

TEST_F(LibvirtSourceTest, AScanFindsWhatComesAndGoes) {
  AddVm(100, "a", kUuidA, 1, kGroupA);
  LibvirtSource source(Options(kNobody));
  ASSERT_TRUE(source.Start(sink_).ok());
  AddVcpu(100, kGroupA, 1);  // plugged
  AddVm(200, "b", kUuidB, 1, "/machine/b");
  EXPECT_TRUE(sink_.Await([&] { return sink_.vcpus() == 3; }));
  Remove("/proc/100/task/102");  // unplugged
  Remove("/proc/200");           // destroyed
  EXPECT_TRUE(sink_.Await([&] { return sink_.vcpus_gone() == 1 && sink_.vms_gone().size() == 1; }));
  EXPECT_EQ(sink_.vms_gone()[0], "b");
}

// With hundreds of VMs the next scan may be far away.
TEST_F(LibvirtSourceTest, WhatLibvirtWritesMakesItLookAtThatVmAtOnce) {
  const std::string group = "/machine/a";
  AddVm(100, "a", kUuidA, 1, group);
  WriteStatus(100, "a", kUuidA, "");
  LibvirtSource source(Options(kNobody, VmThreads::kProcess));
  ASSERT_TRUE(source.Start(sink_).ok());
  const steady_clock::time_point begin = steady_clock::now();
  AddVcpu(100, group, 1);
  AddHelpers(group, "iothread1", {{120, 100}});
  WriteStatus(100, "a", kUuidA, "");
  EXPECT_TRUE(sink_.Await([&] { return sink_.vcpus() == 2 && sink_.helpers().size() == 1; }));
  Remove("/proc/100/task/102");
  WriteStatus(100, "a", kUuidA, "");
  EXPECT_TRUE(sink_.Await([&] { return sink_.vcpus_gone() == 1; }));
  Remove("/proc/100");
  Remove("/run/libvirt/qemu/a.xml");
  EXPECT_TRUE(sink_.Await([&] { return sink_.vms_gone().size() == 1; }));
  EXPECT_LT(steady_clock::now() - begin, ScanPace::kMostOften) << "found by a scan only";
}

// However long it takes until the last one is gone.
TEST_F(LibvirtSourceTest, AKilledVmThatLosesItsThreadsHasLostNoVcpu) {
  AddVm(100, "a", kUuidA, 2, kGroupA);
  LibvirtSource source(Options(kNobody));
  ASSERT_TRUE(source.Start(sink_).ok());
  Write("/proc/100/status", "Tgid:\t100\nSigPnd:\t0000000000000100\n");
  Remove("/proc/100/task/102");
  std::this_thread::sleep_for(ScanPace::kMostOften + 2 * KnownVms::kDying);
  EXPECT_EQ(sink_.vcpus_gone(), 0u);
  Remove("/proc/100");
  EXPECT_TRUE(sink_.Await([&] { return sink_.vms_gone().size() == 1; }));
  EXPECT_EQ(sink_.vcpus_gone(), 0u);
}

TEST_F(LibvirtSourceTest, HelpersAreToldWhenAskedFor) {
  AddVm(100, "a", kUuidA, 1, kGroupA);
  AddHelpers(kGroupA, "emulator", {{100, 100}, {110, 100}, {300, 300}});
  LibvirtSource source(Options(kNobody, VmThreads::kProcess));
  ASSERT_TRUE(source.Start(sink_).ok());
  EXPECT_EQ(sink_.helpers(), (std::vector<pid_t>{100, 110}));
  AddHelpers(kGroupA, "iothread1", {{120, 100}});
  EXPECT_TRUE(sink_.Await([&] { return sink_.helpers().size() == 3; }));
  EXPECT_EQ(sink_.helpers().back(), 120) << "and nothing is told twice";
}

// libvirt moves a new thread to the group of its kind when QEMU has made it.
TEST_F(LibvirtSourceTest, AHelperIsToldAgainWhenItBecomesAnIoThread) {
  AddVm(100, "a", kUuidA, 1, kGroupA);
  AddHelpers(kGroupA, "emulator", {{100, 100}, {110, 100}});
  LibvirtSource source(Options(kNobody, VmThreads::kProcess));
  ASSERT_TRUE(source.Start(sink_).ok());
  EXPECT_EQ(sink_.helpers(), (std::vector<pid_t>{100, 110}));
  AddHelpers(kGroupA, "emulator", {{100, 100}});
  AddHelpers(kGroupA, "iothread1", {{110, 100}});
  EXPECT_TRUE(sink_.Await([&] { return sink_.helpers().size() == 3; }));
  EXPECT_EQ(sink_.helpers().back(), 110);
}

TEST_F(LibvirtSourceTest, SettingsComeBeforeVcpusAndWhenLibvirtWritesThemDown) {
  AddVm(100, "a", kUuidA, 1, kGroupA);
  WriteStatus(100, "a", kUuidA, "<cputune><shares>300</shares></cputune>");
  sink_.run_time = [this](pid_t, pid_t) {
    EXPECT_EQ(sink_.settings_told("a"), 1u) << "after the first vCPU";
    return 0;
  };
  LibvirtSource source(Options(kNobody));
  ASSERT_TRUE(source.Start(sink_).ok());
  EXPECT_EQ(sink_.SettingsOf("a").weight.value, 300u);
  const steady_clock::time_point begin = steady_clock::now();
  WriteStatus(100, "a", kUuidA, "<cputune><shares>500</shares></cputune>");
  EXPECT_TRUE(sink_.Await([&] { return sink_.SettingsOf("a").weight.value == 500; }));
  EXPECT_LT(steady_clock::now() - begin, ScanPace::kMostOften) << "found by a scan only";
  // Written anew with nothing new in it.
  const size_t told = sink_.settings_told("a");
  WriteStatus(100, "a", kUuidA, "<cputune><shares>500</shares></cputune><title>t</title>");
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(sink_.settings_told("a"), told);
}

// A libvirtd that was killed has told the kernel, but has not written it down. virsh says the same.
TEST_F(LibvirtSourceTest, WhatTheKernelWasToldOverrulesAStaleRecord) {
  const std::string group = "/sys/fs/cgroup/machine/qemu-1-a.libvirt-qemu";
  AddVm(100, "a", kUuidA, 1, "/machine/qemu-1-a.libvirt-qemu");
  WriteStatus(100, "a", kUuidA,
              "<cputune><shares>300</shares><quota>20000</quota><period>50000</period></cputune>");
  LibvirtSource source(Options(kNobody));
  ASSERT_TRUE(source.Start(sink_).ok());
  const VmSettings written = sink_.SettingsOf("a");
  EXPECT_EQ(written.weight.value, 300u) << "there is no cpu.weight";
  Write(group + "/cpu.weight", "300\n");
  Write(group + "/vcpu0/cpu.max", "20000 50000\n");
  std::this_thread::sleep_for(ScanPace::kMostOften + milliseconds(500));
  EXPECT_EQ(sink_.SettingsOf("a"), written);
  Write(group + "/cpu.weight", "500\n");
  Write(group + "/vcpu0/cpu.max", "max 50000\n");
  EXPECT_TRUE(sink_.Await([&] { return sink_.SettingsOf("a").weight.value == 500; }));
  EXPECT_EQ(sink_.SettingsOf("a").cap.value, TimeShare{});
  Write(group + "/vcpu0/cpu.max", "30000 100000\n");
  const TimeShare cap{milliseconds(30), milliseconds(100)};
  EXPECT_TRUE(sink_.Await([&] { return sink_.SettingsOf("a").cap.value == cap; }));
}

// The scope is systemd's, the group for the threads within it libvirt's.
TEST_F(LibvirtSourceTest, WhatSystemdWasTold) {
  const std::string group = absl::StrCat("/sys/fs/cgroup", kGroupA);
  AddVm(100, "a", kUuidA, 1, kGroupA);
  Write(group + "/../cpu.weight", "500\n");
  Write(group + "/cpu.weight", "100\n");
  Write(group + "/cpu.max", "10000 50000\n");
  LibvirtSource source(Options(kNobody));
  ASSERT_TRUE(source.Start(sink_).ok());
  EXPECT_EQ(sink_.SettingsOf("a").weight.value, 500u);
  EXPECT_EQ(sink_.SettingsOf("a").vm_cap.value, (TimeShare{milliseconds(10), milliseconds(50)}));
}

// libvirt makes its directory when it starts, which may be after us.
TEST_F(LibvirtSourceTest, ADirectoryThatComesLater) {
  LibvirtSource source(Options(kNobody));
  ASSERT_TRUE(source.Start(sink_).ok());
  AddVm(100, "a", kUuidA, 1, kGroupA);
  EXPECT_TRUE(sink_.Await([&] { return sink_.vcpus() == 1; }));
  WriteStatus(100, "a", kUuidA, "<cputune><shares>500</shares></cputune>");
  EXPECT_TRUE(sink_.Await([&] { return sink_.SettingsOf("a").weight.value == 500; }));
  EXPECT_EQ(sink_.settings_told("a"), 2u);
}

TEST_F(LibvirtSourceTest, AMistakeIsToldOnceAndWhatWasInForceStays) {
  AddVm(100, "a", kUuidA, 1, kGroupA);
  WriteStatus(100, "a", kUuidA, "<cputune><shares>300</shares></cputune>");
  LibvirtSource source(Options(kNobody));
  ASSERT_TRUE(source.Start(sink_).ok());
  Write("/run/libvirt/qemu/a.xml", "<domstatus><dom");
  EXPECT_TRUE(sink_.Await([&] { return sink_.HasNotice("VM a: its settings cannot be read"); }));
  EXPECT_EQ(sink_.SettingsOf("a").weight.value, 300u);
  EXPECT_EQ(sink_.settings_told("a"), 1u);
  WriteStatus(100, "a", kUuidB, "<cputune><shares>900</shares></cputune>");
  EXPECT_TRUE(sink_.Await([&] { return sink_.HasNotice("it is about bbbbbbbb"); }));
  EXPECT_EQ(sink_.SettingsOf("a").weight.value, 300u) << "another VM's settings";
  WriteStatus(100, "a", kUuidA,
              "<metadata><c:domain xmlns:c='urn:corral:domain:1'><reservation budget='1ms'/>"
              "</c:domain></metadata>");
  EXPECT_TRUE(
      sink_.Await([&] { return sink_.HasNotice("metadata <reservation>: there is no period"); }));
  EXPECT_TRUE(sink_.Await([&] { return !sink_.SettingsOf("a").metadata_ok; }));
  std::this_thread::sleep_for(ScanPace::kMostOften + milliseconds(300));
  const std::vector<std::string> notices = sink_.notices();
  EXPECT_EQ(std::count_if(notices.begin(), notices.end(),
                          [](const std::string& n) { return n.find("VM a") == 0; }),
            3)
      << "told again";
}

TEST_F(LibvirtSourceTest, IdsThatWereUsedAgain) {
  AddVm(100, "a", kUuidA, 1, kGroupA);
  LibvirtSource source(Options(kNobody));
  ASSERT_TRUE(source.Start(sink_).ok());
  WriteThread(100, 101, 5000);  // another thread with the same id
  EXPECT_TRUE(sink_.Await([&] { return sink_.vcpus() == 2; }));
  EXPECT_EQ(sink_.vcpus_gone(), 1u);
  // The VM started again, in another process.
  Remove("/proc/100");
  AddVm(300, "a", kUuidA, 1, kGroupA);
  EXPECT_TRUE(sink_.Await([&] { return sink_.vcpus() == 3; }));
  EXPECT_EQ(sink_.vms_gone(), std::vector<std::string>{"a"});
}

TEST_F(LibvirtSourceTest, ARunningVmCannotBecomeAnother) {
  AddVm(100, "a", kUuidA, 1, kGroupA);
  AddVm(200, "b", kUuidB, 1, "/machine/b");
  WriteCommand(200, {"qemu-kvm", "-name", "guest=a", "-uuid", kUuidA});
  LibvirtSource source(Options(kNobody));
  ASSERT_TRUE(source.Start(sink_).ok());
  ASSERT_EQ(sink_.VcpusOf("b").size(), 1u);
  EXPECT_EQ(sink_.VcpusOf("b")[0].vm.uuid, kUuidB);
  EXPECT_EQ(sink_.VcpusOf("a").size(), 1u);
}

// test:///default runs a VM called "test", which has no process.
TEST_F(LibvirtSourceTest, AVmWithoutThreadsIsToldOnce) {
  LibvirtSource source(Options("test:///default"));
  ASSERT_TRUE(source.Start(sink_).ok());
  EXPECT_TRUE(sink_.Await([&] { return sink_.HasNotice("UNPROTECTED: libvirt runs VM test"); }));
  std::this_thread::sleep_for(seconds(5));
  EXPECT_EQ(sink_.notices().size(), 1u);
}

}  // namespace
}  // namespace corral
