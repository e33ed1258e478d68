// SPDX-License-Identifier: Apache-2.0
// Which processes and threads count, on trees made for the test, and made by somebody hostile.
#include "vmm-integration/plain_qemu.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "absl/strings/ascii.h"
#include "tests/libvirt/fake_qemus.h"

namespace corral {
namespace {

using PlainQemuTest = FakeQemus;

constexpr BootId kBoot{.high = 0x6d9b1b5c8f1e4a57, .low = 0x9c7e0123456789ab};

TEST(VcpuOfThreadName, AreNamedExactly) {
  EXPECT_EQ(VcpuOfThreadName("CPU 0/KVM"), 0);
  EXPECT_EQ(VcpuOfThreadName("CPU 511/KVM"), 511);
  EXPECT_EQ(VcpuOfThreadName("CPU 12/TCG"), 12);
  EXPECT_EQ(VcpuOfThreadName("ALL CPUs/TCG"), 0);
  for (const char* other : {"",
                            "CPU",
                            "CPU ",
                            "CPU /KVM",
                            "CPU 0",
                            "CPU 0/",
                            "CPU 0/kvm",
                            "CPU 0/DUMMY",
                            "CPU -1/KVM",
                            "CPU 0/KVM ",
                            " CPU 0/KVM",
                            "CPU  0/KVM",
                            "CPU 0/KVM\n",
                            "CPU 0x1/KVM",
                            "CPU 0/KVM/KVM",
                            "CPU 0/TCG/KVM",
                            "CPU +1/KVM",
                            "CPU 1 /KVM",
                            "cpu 0/KVM",
                            "call_rcu",
                            "IO iothread1",
                            "worker",
                            "ALL CPUs/KVM",
                            "CPU 99999999999999/KVM"}) {
    EXPECT_FALSE(VcpuOfThreadName(other).has_value()) << other;
  }
}

RC_GTEST_PROP(VcpuOfThreadName, WhatIsFoundIsWhatQemuWrites, (const std::string& text)) {
  for (const std::string& name :
       {text, absl::StrCat("CPU ", text), absl::StrCat("CPU ", text, "/KVM")}) {
    const std::optional<int> vcpu = VcpuOfThreadName(name);
    if (!vcpu) continue;
    RC_ASSERT(*vcpu >= 0);
    // But for leading zeros.
    RC_ASSERT(VcpuOfThreadName(absl::StrCat("CPU ", *vcpu, "/KVM")) == vcpu);
  }
}

TEST_F(PlainQemuTest, ByTheFileThatIsRun) {
  for (const char* program :
       {kProgram, "/usr/libexec/qemu-kvm", "/usr/bin/kvm", "/opt/qemu-system-aarch64",
        "/usr/bin/qemu-system-x86_64 (deleted)", "/usr/libexec/qemu-kvm (deleted)"}) {
    SetProgram(7, program);
    EXPECT_TRUE(IsQemu(7, root_)) << program;
  }
  for (const char* program : {"/usr/bin/bash", "/usr/bin/qemu-img", "/usr/bin/qemu-nbd",
                              "/usr/bin/kvm-ok", "/qemu-kvm/sh", "/usr/bin/my-qemu-system-x86_64",
                              "/usr/bin/qemu-kvm (deleted) (deleted)", "kvm/", " "}) {
    SetProgram(7, program);
    EXPECT_FALSE(IsQemu(7, root_)) << program;
  }
  EXPECT_FALSE(IsQemu(8, root_)) << "no such process";
  // What it calls itself is nothing.
  SetProgram(9, "/usr/bin/sleep");
  WriteCommand(9, {kProgram, "-name", "web"});
  EXPECT_FALSE(IsQemu(9, root_));
}

TEST_F(PlainQemuTest, ThreadsByName) {
  AddQemu(100, "web", 2);
  SetThread(100, 110, "worker", 1500);
  const QemuThreads found = ThreadsOfQemu(100, root_);
  EXPECT_EQ(found.start_time, 1000u);
  EXPECT_EQ(found.vcpus, 2u);
  EXPECT_EQ(found.nameless, 0u);
  ASSERT_EQ(found.threads.size(), 5u);
  std::map<pid_t, NamedThread> threads;
  for (const NamedThread& thread : found.threads) threads[thread.tid] = thread;
  EXPECT_EQ(threads[101].vcpu, 0);
  EXPECT_EQ(threads[102].vcpu, 1);
  EXPECT_EQ(threads[102].start_time, 1002u);
  for (const pid_t helper : {100, 103, 110}) EXPECT_FALSE(threads[helper].vcpu) << helper;
}

TEST_F(PlainQemuTest, OddThreads) {
  AddQemu(100, "web", 1);
  SetThread(100, 110, "x) S 1 (CPU 7/KVM", 1500);  // a name may hold anything
  SetThread(100, 111, "CPU 1/KVM", 1500, 'Z');     // has ended
  Write("/proc/100/task/112/stat", "112 (CPU 2/KVM");
  Write("/proc/100/task/113/stat", "");
  Write("/proc/100/task/114/stat", ")( S");
  Write("/proc/100/task/self/stat", "1 (CPU 3/KVM) S");
  const QemuThreads found = ThreadsOfQemu(100, root_);
  EXPECT_EQ(found.vcpus, 1u);
  EXPECT_EQ(found.threads.size(), 4u);
  // A vCPU that forks makes a process with its own name, until that runs something else.
  SetThread(200, 200, "CPU 0/KVM", 1600);
  EXPECT_EQ(ThreadsOfQemu(200, root_).vcpus, 0u);
  EXPECT_EQ(ThreadsOfQemu(201, root_).start_time, 0u) << "no such process";
}

TEST_F(PlainQemuTest, NamelessThreadsHaveTheFirstOnes) {
  for (const pid_t tid : {100, 101, 102}) SetThread(100, tid, "qemu-system-x86", 1000);
  const QemuThreads found = ThreadsOfQemu(100, root_);
  EXPECT_EQ(found.vcpus, 0u);
  EXPECT_EQ(found.nameless, 2u);
}

TEST_F(PlainQemuTest, NamesForTheEye) {
  const auto name = [&](const std::vector<std::string>& arguments) {
    WriteCommand(7, arguments);
    return DisplayName(7, root_);
  };
  EXPECT_EQ(name({"kvm", "-id", "100", "-name", "web,debug-threads=on"}), "web");
  EXPECT_EQ(name({"kvm", "--name", "guest=web,,1,debug-threads=on"}), "web,1");
  EXPECT_EQ(name({"kvm", "-name", "process=p,guest=web"}), "web");
  EXPECT_EQ(name({"kvm", "-name", "debug-threads=on"}), "qemu-7");
  EXPECT_EQ(name({"kvm", "-m", "512"}), "qemu-7");
  EXPECT_EQ(name({"kvm", "-name"}), "qemu-7");
  EXPECT_EQ(name({"kvm", "-name", ""}), "qemu-7");
  EXPECT_EQ(name({"kvm", "-name", ","}), "qemu-7");
  // Not into a line of a log, nor onto a terminal.
  EXPECT_EQ(name({"kvm", "-name", "a\nUNPROTECTED: b\x1b[2J\xff"}), "a?UNPROTECTED: b?[2J?");
  EXPECT_EQ(name({"kvm", "-name", std::string(100000, 'x')}).size(), 63u);
  Write("/proc/7/cmdline", std::string("\0\0\0", 3));
  EXPECT_EQ(DisplayName(7, root_), "qemu-7");
  Write("/proc/7/cmdline", "");
  EXPECT_EQ(DisplayName(7, root_), "qemu-7");
  EXPECT_EQ(DisplayName(8, root_), "qemu-8") << "no such process";
}

TEST(UuidOfProcess, IsWellFormed) {
  const std::string uuid = UuidOfProcess(kBoot, 4711, 123456);
  EXPECT_EQ(uuid.size(), 36u);
  for (const size_t dash : {8, 13, 18, 23}) EXPECT_EQ(uuid[dash], '-') << uuid;
  EXPECT_EQ(uuid[14], '8') << uuid;                                          // version
  EXPECT_NE(std::string("89ab").find(uuid[19]), std::string::npos) << uuid;  // variant
  EXPECT_EQ(std::count_if(uuid.begin(), uuid.end(), absl::ascii_isxdigit), 32);
  EXPECT_EQ(uuid, absl::AsciiStrToLower(uuid));
}

// Another process, or one after a reboot, cannot get into a VM's domain; a daemon that starts again
// finds it.
RC_GTEST_PROP(UuidOfProcess, BelongsToOneProcessOfOneBoot, ()) {
  const BootId boot{.high = *rc::gen::arbitrary<uint64_t>(),
                    .low = *rc::gen::arbitrary<uint64_t>()};
  const auto process =
      rc::gen::pair(rc::gen::inRange(1, 1 << 22), rc::gen::inRange<uint64_t>(0, uint64_t{1} << 62));
  const auto a = *process, b = *process;
  RC_ASSERT((UuidOfProcess(boot, a.first, a.second) == UuidOfProcess(boot, b.first, b.second)) ==
            (a == b));
  // One that differs in one thing only.
  RC_ASSERT(UuidOfProcess(boot, a.first, a.second) != UuidOfProcess(boot, a.first, a.second ^ 1));
  RC_ASSERT(UuidOfProcess(boot, a.first, a.second) != UuidOfProcess(boot, a.first ^ 1, a.second));
  RC_ASSERT(UuidOfProcess(boot, a.first, a.second) !=
            UuidOfProcess({.high = ~boot.high, .low = boot.low}, a.first, a.second));
}

TEST_F(PlainQemuTest, NothingCanBeSeenWithoutABootId) {
  for (const char* text : {"", "6d9b1b5c", "6d9b1b5c-8f1e-4a57-9c7e-0123456789xy"}) {
    Write("/proc/sys/kernel/random/boot_id", text);
    const absl::Status status = PrepareToLook(root_).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_NE(status.message().find("mount /proc"), absl::string_view::npos) << status;
  }
  Remove("/proc/sys");
  EXPECT_FALSE(PrepareToLook(root_).ok());
}

// Of whom root's processes are none of the business.
TEST(PrepareToLook, NeedsTheRightToLook) {
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(2);
    const absl::Status status = PrepareToLook().status();
    _exit(absl::IsFailedPrecondition(status) &&
                  status.message().find("CAP_SYS_PTRACE") != absl::string_view::npos
              ? 0
              : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(PlainQemuTest, AllProcesses) {
  for (const pid_t pid : {1, 7, 4194303}) SetThread(pid, pid, "x", 1);
  for (const char* other : {"/proc/self/x", "/proc/12a/x", "/proc/-3/x", "/proc/99999999999/x"})
    Write(other, "");
  std::vector<pid_t> pids = AllProcesses(root_);
  std::sort(pids.begin(), pids.end());
  EXPECT_EQ(pids, (std::vector<pid_t>{1, 7, 4194303}));
  EXPECT_TRUE(AllProcesses("/nonexistent").empty());
}

}  // namespace
}  // namespace corral
