// SPDX-License-Identifier: Apache-2.0
// What is read from the cgroups of a VM, on trees made for the test.
#include "vmm-integration/cgroup_limits.h"

#include <gtest/gtest.h>

#include "tests/libvirt/fake_qemus.h"

namespace corral {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

class CgroupLimitsTest : public FakeQemus {
 protected:
  void SetLimits(const std::string& group, const std::string& weight, const std::string& max) {
    Write(absl::StrCat("/sys/fs/cgroup", group, "/cpu.weight"), weight);
    Write(absl::StrCat("/sys/fs/cgroup", group, "/cpu.max"), max);
  }
  CgroupLimits Of(pid_t pid) const { return LimitsOfProcess(pid, root_); }
};

TEST_F(CgroupLimitsTest, OfProxmox) {
  SetGroup(100, "/qemu.slice/100.scope");
  SetLimits("/qemu.slice", "100\n", "max 100000\n");
  SetLimits("/qemu.slice/100.scope", "250\n", "150000 100000\n");
  EXPECT_EQ(Of(100),
            (CgroupLimits{.weight = 250, .quota = milliseconds(150), .period = milliseconds(100)}));
}

// The pod has a cap, its container another; what binds is the tighter.
TEST_F(CgroupLimitsTest, TheTightestCapBinds) {
  const std::string pod = "/kubepods.slice/kubepods-pod1.slice";
  SetGroup(100, pod + "/cri-containerd-c.scope");
  SetLimits("/kubepods.slice", "157\n", "max 100000\n");
  SetLimits(pod, "40\n", "200000 100000\n");
  SetLimits(pod + "/cri-containerd-c.scope", "39\n", "90000 50000\n");
  EXPECT_EQ(Of(100),
            (CgroupLimits{.weight = 39, .quota = milliseconds(90), .period = milliseconds(50)}));
  SetLimits(pod, "40\n", "10000 20000\n");
  EXPECT_EQ(Of(100),
            (CgroupLimits{.weight = 39, .quota = milliseconds(10), .period = milliseconds(20)}));
}

// Weights of other levels are shares of something else.
TEST_F(CgroupLimitsTest, TheNearestWeightCounts) {
  SetGroup(100, "/vms.slice/a.scope/inner");
  SetLimits("/vms.slice", "900\n", "max 100000\n");
  SetLimits("/vms.slice/a.scope", "100\n", "max 100000\n");
  EXPECT_EQ(Of(100), CgroupLimits{});
  Remove("/sys/fs/cgroup/vms.slice/a.scope");
  EXPECT_EQ(Of(100), CgroupLimits{.weight = 900});
}

TEST_F(CgroupLimitsTest, GroupsOfSingleThreadsArePassedOver) {
  const std::string vm = "/machine.slice/machine-qemu\\x2d1\\x2da.scope/libvirt";
  SetGroup(100, vm + "/emulator");
  Write("/sys/fs/cgroup" + vm + "/emulator/cgroup.type", "threaded\n");
  Write("/sys/fs/cgroup" + vm + "/cgroup.type", "domain threaded\n");
  SetLimits(vm + "/emulator", "10\n", "1000 100000\n");
  SetLimits(vm, "300\n", "max 100000\n");
  EXPECT_EQ(Of(100), CgroupLimits{.weight = 300});
}

TEST_F(CgroupLimitsTest, WhatMakesNoSenseIsNoLimit) {
  SetGroup(100, "/a");
  for (const char* text :
       {"", "\n", "0\n", "-5\n", "10001\n", "weight\n", "99999999999999999999\n"}) {
    SetLimits("/a", text, "max 100000\n");
    EXPECT_EQ(Of(100), CgroupLimits{}) << text;
  }
  for (const char* text :
       {"", "max\n", "max 100000 7\n", "1000\n", "0 100000\n", "-1 100000\n", "1000 0\n",
        "1000 -1\n", "1000x 100000\n", "99999999999999999999 100000\n", "9000000000000000 1\n"}) {
    SetLimits("/a", "100\n", text);
    EXPECT_EQ(Of(100), CgroupLimits{}) << text;
  }
  SetLimits("/a", "100\n", "1 1000000\n");
  EXPECT_EQ(Of(100).quota, microseconds(1));
}

TEST_F(CgroupLimitsTest, GroupsThatAreNotThere) {
  SetLimits("", "1\n", "1 100000\n");
  EXPECT_EQ(Of(100), CgroupLimits{}) << "no such process";
  Write("/sys/elsewhere/cpu.weight", "7\n");
  for (const char* text : {"", "0::", "0::/\n", "0::/../../elsewhere\n", "0::/gone (deleted)\n",
                           "1:cpu:/a\n", "0::/../cgroup/../..\n"}) {
    Write("/proc/100/cgroup", text);
    EXPECT_EQ(Of(100), CgroupLimits{}) << text;
  }
}

TEST_F(CgroupLimitsTest, ChangesAreNoticed) {
  SetGroup(100, "/qemu.slice/100.scope");
  SetGroup(200, "/qemu.slice/200.scope");
  SetLimits("/qemu.slice", "100\n", "max 100000\n");
  SetLimits("/qemu.slice/100.scope", "100\n", "max 100000\n");
  SetLimits("/qemu.slice/200.scope", "100\n", "max 100000\n");
  CgroupLimitsWatcher watcher = CgroupLimitsWatcher::Start(root_).value();
  watcher.Watch({100, 200});
  EXPECT_FALSE(watcher.Drain());
  SetLimits("/qemu.slice/100.scope", "200\n", "max 100000\n");
  EXPECT_TRUE(watcher.Drain());
  EXPECT_FALSE(watcher.Drain());
  SetLimits("/qemu.slice", "100\n", "1000 100000\n");
  EXPECT_TRUE(watcher.Drain()) << "of a group above";
  // One has ended: what it shared stays watched, its own does not.
  watcher.Watch({200});
  watcher.Drain();  // the kernel's word that it is not watched any more
  SetLimits("/qemu.slice/100.scope", "300\n", "max 100000\n");
  EXPECT_FALSE(watcher.Drain());
  SetLimits("/qemu.slice", "100\n", "2000 100000\n");
  EXPECT_TRUE(watcher.Drain());
  // The other moves.
  SetGroup(200, "/qemu.slice/100.scope");
  watcher.Watch({200, 201});
  watcher.Drain();
  SetLimits("/qemu.slice/100.scope", "400\n", "max 100000\n");
  EXPECT_TRUE(watcher.Drain());
}

}  // namespace
}  // namespace corral
