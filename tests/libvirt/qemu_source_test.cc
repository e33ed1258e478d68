// SPDX-License-Identifier: Apache-2.0
// The source of plain QEMUs on trees made for the test: no privilege.
#include "vmm-integration/qemu_source.h"

#include <gtest/gtest.h>

#include <mutex>

#include "tests/libvirt/fake_qemus.h"
#include "tests/libvirt/recording_sink.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

class QemuSourceTest : public FakeQemus {
 protected:
  void Start(VmThreads which = VmThreads::kVcpus, bool skip_system_libvirts = false) {
    source_ =
        std::make_unique<QemuSource>(QemuSourceOptions{.which = which,
                                                       .skip_system_libvirts = skip_system_libvirts,
                                                       .root = root_,
                                                       .watch_names = false});
    const absl::Status status = source_->Start(sink_);
    ASSERT_TRUE(status.ok()) << status;
  }
  void TearDown() override {
    source_.reset();
    FakeQemus::TearDown();
  }
  std::string UuidOf(const std::string& name) const {
    const std::vector<RecordingSink::Vcpu> vcpus = sink_.VcpusOf(name);
    return vcpus.empty() ? "" : vcpus[0].vm.uuid;
  }

  RecordingSink sink_;
  std::unique_ptr<QemuSource> source_;
};

TEST_F(QemuSourceTest, StartTellsWhatRuns) {
  AddQemu(100, "web", 2);
  AddQemu(200, "db", 1);
  AddQemu(300, "idle", 0);
  Start();
  ASSERT_EQ(sink_.vcpus(), 3u) << "told before Start() returned";
  const std::vector<RecordingSink::Vcpu> web = sink_.VcpusOf("web");
  ASSERT_EQ(web.size(), 2u);
  EXPECT_EQ(web[1].vm.pid, 100);
  EXPECT_EQ(web[1].thread.tid, 102);
  EXPECT_EQ(web[1].thread.vcpu, 1);
  EXPECT_EQ(web[1].thread.start_time, 1002u);
  EXPECT_EQ(web[1].thread.entered, Time{});
  EXPECT_EQ(web[0].vm.uuid, web[1].vm.uuid);
  EXPECT_NE(UuidOf("web"), UuidOf("db"));
  std::this_thread::sleep_for(milliseconds(2500));
  EXPECT_EQ(sink_.vcpus(), 3u) << "nothing is told twice";
  EXPECT_TRUE(sink_.notices().empty());
  EXPECT_TRUE(sink_.helpers().empty());
}

TEST_F(QemuSourceTest, AScanFindsWhatComesAndGoes) {
  AddQemu(100, "web", 1);
  Start();
  SetThread(100, 110, "CPU 1/KVM", 5000);  // plugged
  AddQemu(200, "db", 1);
  EXPECT_TRUE(sink_.Await([&] { return sink_.vcpus() == 3; }));
  Remove("/proc/100/task/110");  // unplugged
  Remove("/proc/200");           // killed
  EXPECT_TRUE(sink_.Await([&] { return sink_.vcpus_gone() == 1 && sink_.vms_gone().size() == 1; }));
  EXPECT_EQ(sink_.vms_gone()[0], "db");
}

TEST_F(QemuSourceTest, HelpersAreTheOtherThreads) {
  AddQemu(100, "web", 2);
  SetThread(100, 110, "IO iothread0", 1100);
  for (const VmThreads which : {VmThreads::kProcess, VmThreads::kEverything}) {
    RecordingSink sink;
    QemuSource source({.which = which, .root = root_, .watch_names = false});
    ASSERT_TRUE(source.Start(sink).ok());
    std::vector<pid_t> helpers = sink.helpers();
    std::sort(helpers.begin(), helpers.end());
    EXPECT_EQ(helpers, (std::vector<pid_t>{100, 103, 110}));
    EXPECT_EQ(sink.vcpus(), 2u);
  }
  Start(VmThreads::kProcess);
  SetThread(100, 111, "worker", 1200);
  EXPECT_TRUE(sink_.Await([&] { return sink_.helpers().size() == 4; }));
  EXPECT_EQ(sink_.helpers().back(), 111) << "and nothing is told twice";
}

TEST_F(QemuSourceTest, IdsThatWereUsedAgain) {
  AddQemu(100, "web", 1);
  Start();
  const std::string before = UuidOf("web");
  SetThread(100, 101, "CPU 0/KVM", 5000);  // another thread with the same id
  EXPECT_TRUE(sink_.Await([&] { return sink_.vcpus() == 2; }));
  EXPECT_EQ(sink_.vcpus_gone(), 1u);
  EXPECT_TRUE(sink_.vms_gone().empty());
  // Another process with the same id is another VM, whatever it calls itself.
  SetThread(100, 100, "qemu-system-x86", 6000);
  EXPECT_TRUE(sink_.Await([&] { return sink_.vcpus() == 3; }));
  EXPECT_EQ(sink_.vms_gone(), std::vector<std::string>{"web"});
  EXPECT_NE(sink_.VcpusOf("web")[2].vm.uuid, before);
  // Something else got the id.
  SetThread(100, 100, "sleep", 7000);
  SetProgram(100, "/usr/bin/sleep");
  EXPECT_TRUE(sink_.Await([&] { return sink_.vms_gone().size() == 2; }));
  EXPECT_EQ(sink_.vcpus(), 3u);
}

// What a process says of itself does not choose its trust domain, nor its name in what operators
// read.
TEST_F(QemuSourceTest, NobodyCanBeAnother) {
  AddQemu(100, "web", 1);
  WriteCommand(100, {kProgram, "-name", "web", "-uuid", kUuidA});
  AddQemu(200, "web", 1);
  WriteCommand(200, {kProgram, "-name", "web", "-uuid", kUuidA});
  Start();
  ASSERT_EQ(sink_.vcpus(), 2u);
  std::vector<RecordingSink::Vcpu> vcpus = sink_.VcpusOf("web");
  ASSERT_EQ(vcpus.size(), 1u);
  const pid_t other = vcpus[0].vm.pid == 100 ? 200 : 100;
  const std::string other_name = absl::StrCat("web (", other, ")");
  ASSERT_EQ(sink_.VcpusOf(other_name).size(), 1u);
  EXPECT_NE(UuidOf("web"), UuidOf(other_name));
  for (const std::string& uuid : {UuidOf("web"), UuidOf(other_name)}) EXPECT_NE(uuid, kUuidA);
  // The key stays when the arguments change, and for a daemon that starts again.
  WriteCommand(100, {kProgram, "-name", "x", "-uuid", kUuidB});
  WriteCommand(200, {kProgram, "-name", "y", "-uuid", kUuidB});
  RecordingSink sink;
  QemuSource again({.root = root_, .watch_names = false});
  ASSERT_TRUE(again.Start(sink).ok());
  ASSERT_EQ(sink.VcpusOf("x").size(), 1u);
  EXPECT_EQ(sink.VcpusOf("x")[0].vm.uuid,
            vcpus[0].vm.pid == 100 ? UuidOf("web") : UuidOf(other_name));
}

TEST_F(QemuSourceTest, WhatIsNoQemuIsNoVm) {
  AddQemu(100, "fake", 1);
  SetProgram(100, "/home/u/bin/stress");
  AddQemu(200, "gone", 1);
  Remove("/proc/200/exe");
  Write("/proc/300/exe", "no link");
  SetThread(300, 300, "qemu", 1);
  SetThread(300, 301, "CPU 0/KVM", 1);
  Write("/proc/400/task/401/stat", "401 (CPU 0/KVM) S 1");
  SetProgram(400, kProgram);
  AddQemu(500, "garbage", 1);
  Write("/proc/500/cmdline", std::string("\0-name\0\xff\n\0", 11));
  Start();
  ASSERT_EQ(sink_.vcpus(), 1u);
  EXPECT_EQ(sink_.VcpusOf("??").size(), 1u) << "a QEMU whatever its arguments are";
  EXPECT_TRUE(sink_.notices().empty());
}

TEST_F(QemuSourceTest, NamelessThreadsAreToldOnce) {
  AddQemu(100, "named", 1);
  AddQemu(200, "without-cpus", 0);
  for (const pid_t pid : {300, 400}) {
    SetProgram(pid, kProgram);
    WriteCommand(pid, {kProgram, "-name", "odd\nname"});
    for (const pid_t tid : {pid, pid + 1, pid + 2}) SetThread(pid, tid, "qemu-system-x86", 1000);
  }
  const steady_clock::time_point begin = steady_clock::now();
  Start();
  std::this_thread::sleep_for(milliseconds(2500));
  Remove("/proc/400");  // had no time to name them
  EXPECT_TRUE(sink_.Await([&] { return !sink_.notices().empty(); }));
  EXPECT_GE(steady_clock::now() - begin, QemuSource::kNamelessPatience);
  std::this_thread::sleep_for(seconds(5));
  ASSERT_EQ(sink_.notices().size(), 1u);
  const std::string notice = sink_.notices()[0];
  EXPECT_EQ(notice.find("UNPROTECTED: QEMU process 300 (odd?name)"), 0u) << notice;
  EXPECT_NE(notice.find("-name NAME,debug-threads=on"), std::string::npos) << notice;
  EXPECT_EQ(sink_.vcpus(), 1u);
}

TEST_F(QemuSourceTest, LimitsAreToldWhenTheyDiffer) {
  AddQemu(100, "web", 1);
  AddQemu(200, "plain", 1);
  SetGroup(100, "/qemu.slice/100.scope");
  SetGroup(200, "/qemu.slice/200.scope");
  const std::string group = "/sys/fs/cgroup/qemu.slice/100.scope";
  Write(group + "/cpu.weight", "300\n");
  Write(group + "/cpu.max", "max 100000\n");
  sink_.run_time = [this](pid_t pid, pid_t) {
    EXPECT_EQ(sink_.settings_told(pid == 100 ? "web" : "plain"), 1u) << "before its first vCPU";
    return 0;
  };
  Start();
  EXPECT_EQ(sink_.SettingsOf("web").weight.value, 300u);
  EXPECT_EQ(sink_.SettingsOf("plain"), DefaultSettings(UuidOf("plain"), "plain"));
  // Long before the next scan.
  const steady_clock::time_point begin = steady_clock::now();
  Write(group + "/cpu.max", "50000 100000\n");
  EXPECT_TRUE(sink_.Await([&] { return sink_.settings_told("web") == 2; }));
  EXPECT_LT(steady_clock::now() - begin, seconds(1));
  EXPECT_EQ(sink_.SettingsOf("web").vm_cap.value,
            (TimeShare{.time = milliseconds(50), .period = milliseconds(100)}));
  // A VM that moves, found by the scan.
  SetGroup(100, "/elsewhere");
  EXPECT_TRUE(sink_.Await([&] { return sink_.settings_told("web") == 3; }));
  EXPECT_EQ(sink_.SettingsOf("web"), DefaultSettings(UuidOf("web"), "web"));
  std::this_thread::sleep_for(milliseconds(2500));
  EXPECT_EQ(sink_.settings_told("web"), 3u) << "nothing is told twice";
  EXPECT_EQ(sink_.settings_told("plain"), 1u);
}

TEST_F(QemuSourceTest, LibvirtsOwnAreLeftToItIfAskedFor) {
  AddQemu(100, "web", 1);
  AddQemu(200, "session", 1);
  SetGroup(100, "/machine/qemu-1-web.libvirt-qemu/emulator");
  SetGroup(200, "/user.slice/user-1000.slice/session-1.scope");
  Start(VmThreads::kVcpus, /*skip_system_libvirts=*/true);
  EXPECT_EQ(sink_.vcpus(), 1u);
  EXPECT_EQ(sink_.VcpusOf("session").size(), 1u);
}

TEST_F(QemuSourceTest, WithoutABootIdItDoesNotStart) {
  Remove("/proc/sys");
  QemuSource source({.root = root_, .watch_names = false});
  EXPECT_TRUE(absl::IsFailedPrecondition(source.Start(sink_)));
}

}  // namespace
}  // namespace corral
