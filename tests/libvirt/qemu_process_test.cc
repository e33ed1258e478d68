// SPDX-License-Identifier: Apache-2.0
// What is read from /proc, the cgroups and libvirt's records, on trees made for the test.
#include "vmm-integration/qemu_process.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/libvirt/fake_host.h"
#include "vmm-integration/libvirt_records.h"

namespace corral {
namespace {

using QemuProcessTest = FakeHost;
using LibvirtRecordsTest = FakeHost;

TEST_F(QemuProcessTest, NamesTheVm) {
  WriteCommand(7, {"/usr/bin/qemu-system-x86_64", "-name", "guest=web,,1,debug-threads=on", "-S",
                   "-uuid", "1B4E28BA-2FA1-11D2-883F-0016D3CCA427"});
  const std::optional<Vm> vm = VmOfProcess(7, root_);
  ASSERT_TRUE(vm.has_value());
  EXPECT_EQ(vm->name, "web,1");
  EXPECT_EQ(vm->uuid, "1b4e28ba-2fa1-11d2-883f-0016d3cca427");
  EXPECT_EQ(vm->pid, 7);
}

TEST_F(QemuProcessTest, WhatIsNoQemuIsNoVm) {
  WriteCommand(8, {"/bin/bash", "-uuid", kUuidA});
  EXPECT_FALSE(VmOfProcess(8, root_).has_value());
  WriteCommand(9, {"/usr/bin/qemu-system-x86_64", "-name", "x"});
  EXPECT_FALSE(VmOfProcess(9, root_).has_value())
      << "without a UUID there is no name for its trust domain";
  EXPECT_FALSE(VmOfProcess(10, root_).has_value()) << "no such process";
  Write("/proc/11/cmdline", "");
  EXPECT_FALSE(VmOfProcess(11, root_).has_value()) << "a process that is ending";
}

TEST_F(QemuProcessTest, AThreadNameMayHoldAnything) {
  WriteThread(7, 8, 4711);
  EXPECT_EQ(StartTime(7, 8, root_), 4711u);
  Write("/proc/7/task/9/stat", "9 (cut off) S 1 2");
  EXPECT_FALSE(StartTime(7, 9, root_).has_value());
  Write("/proc/7/task/10/stat", "");
  EXPECT_FALSE(StartTime(7, 10, root_).has_value());
}

TEST_F(QemuProcessTest, AZombieHasEnded) {
  WriteThread(7, 7, 4711, 'Z');
  EXPECT_FALSE(StartTime(7, 7, root_).has_value());
}

TEST_F(QemuProcessTest, WhoWasKilledOrExitsIsEnding) {
  WriteThread(7, 7, 4711);
  EXPECT_FALSE(IsEnding(7, root_));
  Write("/proc/7/status", "Name:\tx\nSigPnd:\t0000000000000100\nShdPnd:\t0000000000000000\n");
  EXPECT_TRUE(IsEnding(7, root_)) << "it has a SIGKILL to take";
  Write("/proc/7/status", "Name:\tx\nSigPnd:\t0000000000004000\nShdPnd:\t0000000000000000\n");
  EXPECT_FALSE(IsEnding(7, root_)) << "it may ignore a SIGTERM";
  WriteThread(7, 7, 4711, 'R', 0x400104);
  EXPECT_TRUE(IsEnding(7, root_));
  EXPECT_TRUE(IsEnding(8, root_)) << "it has ended";
}

TEST_F(QemuProcessTest, VcpuGroupsAreNamedExactly) {
  EXPECT_EQ(VcpuIndex("vcpu0"), 0);
  EXPECT_EQ(VcpuIndex("vcpu511"), 511);
  for (const char* other :
       {"", "vcpu", "vcpux", "vcpu1x", "vcpu-1", "vcpu 1", "emulator", "vcpu99999999999"}) {
    EXPECT_FALSE(VcpuIndex(other).has_value()) << other;
  }
}

TEST_F(QemuProcessTest, FindsVcpuCgroupsInAnyPartition) {
  for (const char* group : {"/machine.slice/machine-qemu\\x2d1\\x2da.scope/libvirt",
                            "/machine/qemu-2-b.libvirt-qemu", "/vms.slice/gold.slice/x.scope"}) {
    AddVm(100, "a", kUuidA, 2, group);
    Write(absl::StrCat("/sys/fs/cgroup", group, "/vcpux/cgroup.threads"), "201\n");
    std::vector<ScannedVcpu> found = VcpuThreadsOf(100, root_);
    std::sort(found.begin(), found.end(),
              [](const auto& a, const auto& b) { return a.tid < b.tid; });
    ASSERT_EQ(found.size(), 2u) << group;
    EXPECT_EQ(found[0].tid, 101);
    EXPECT_EQ(found[0].vcpu, 0);
    EXPECT_EQ(found[1].tid, 102);
    EXPECT_EQ(found[1].vcpu, 1);
  }
}

TEST_F(QemuProcessTest, HelpersAreWhoeverElseIsThere) {
  const char* const group = "/machine/qemu-2-b.libvirt-qemu";
  AddVm(100, "a", kUuidA, 2, group);
  AddHelpers(group, "emulator", {{100, 100}, {110, 100}, {300, 300}});
  AddHelpers(group, "iothread1", {{120, 100}});
  const auto helpers = [&](VmThreads which) {
    std::vector<pid_t> tids;
    for (const HelperThread& helper : HelperThreadsOf(100, which, root_))
      tids.push_back(helper.tid);
    std::sort(tids.begin(), tids.end());
    return tids;
  };
  EXPECT_TRUE(helpers(VmThreads::kVcpus).empty());
  EXPECT_EQ(helpers(VmThreads::kProcess), (std::vector<pid_t>{100, 110, 120}));
  EXPECT_EQ(helpers(VmThreads::kEverything), (std::vector<pid_t>{100, 110, 120, 300}));
}

TEST_F(QemuProcessTest, AProcessElsewhereHasNoVcpus) {
  Write("/proc/100/cgroup", "0::/user.slice/vcpu0\n");
  Write("/sys/fs/cgroup/user.slice/vcpu0/cgroup.threads", "100\n");
  EXPECT_TRUE(VcpuThreadsOf(100, root_).empty());
  EXPECT_TRUE(VcpuThreadsOf(101, root_).empty());
}

TEST_F(LibvirtRecordsTest, TellWhoIsWho) {
  AddVm(100, "a.b", kUuidA, 1, "/machine/a");
  Write("/run/libvirt/qemu/driver.pid", "junk");
  Write("/run/libvirt/qemu/empty.pid", "");
  const std::vector<PidRecord> records = PidRecords(root_);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].name, "a.b");
  EXPECT_EQ(records[0].pid, 100);
  EXPECT_EQ(ReadStatus("a.b", root_)->uuid, kUuidA);
  EXPECT_EQ(ReadStatus("a.b", root_)->pid, 100);
  EXPECT_TRUE(absl::IsNotFound(ReadStatus("c", root_).status()));
  EXPECT_TRUE(PidRecords("/nonexistent").empty());
}

// The process of "old" died while libvirt was away, and "new" got its id.
TEST_F(LibvirtRecordsTest, TheNewestRecordOfAProcessCounts) {
  WriteRecords(100, "old", kUuidA);
  WriteRecords(100, "new", kUuidB);
  const std::filesystem::path old_file = root_ + "/run/libvirt/qemu/old.pid";
  std::filesystem::last_write_time(
      old_file, std::filesystem::last_write_time(old_file) - std::chrono::hours(1));
  const std::vector<PidRecord> records = PidRecords(root_);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].name, "new");
}

TEST_F(LibvirtRecordsTest, ANewVmNeedsLibvirtsWord) {
  AddVm(100, "a", kUuidA, 1, "/machine/a");
  EXPECT_EQ(IdentifyNewVm(100, root_)->uuid, kUuidA);
  // The record does not have the UUID yet.
  Remove("/run/libvirt/qemu/a.xml");
  EXPECT_EQ(IdentifyNewVm(100, root_)->uuid, kUuidA);
  // Another process claims the name.
  WriteCommand(200, {"qemu-kvm", "-name", "guest=a", "-uuid", kUuidA});
  EXPECT_FALSE(IdentifyNewVm(200, root_).has_value());
  // A name that leads elsewhere.
  Write("/tmp/x.pid", "300");
  WriteCommand(300, {"qemu-kvm", "-name", "guest=../../../tmp/x", "-uuid", kUuidA});
  EXPECT_FALSE(IdentifyNewVm(300, root_).has_value());
}

// Whoever takes a QEMU over can be anything on its command line, but not in another's domain.
TEST_F(LibvirtRecordsTest, TheRecordOutweighsTheClaim) {
  AddVm(100, "a", kUuidA, 1, "/machine/a");
  AddVm(200, "b", kUuidB, 1, "/machine/b");
  WriteCommand(200, {"qemu-kvm", "-name", "guest=b", "-uuid", kUuidA});
  EXPECT_EQ(IdentifyNewVm(200, root_)->uuid, kUuidB);
  WriteCommand(200, {"qemu-kvm", "-name", "guest=a", "-uuid", kUuidA});
  EXPECT_FALSE(IdentifyNewVm(200, root_).has_value());
}

}  // namespace
}  // namespace corral
