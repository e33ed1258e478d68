// SPDX-License-Identifier: Apache-2.0
// A host whose QEMUs nobody answers for: processes, programs and thread names.
#ifndef CORRAL_TESTS_LIBVIRT_FAKE_QEMUS_H_
#define CORRAL_TESTS_LIBVIRT_FAKE_QEMUS_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/libvirt/fake_host.h"

namespace corral {

class FakeQemus : public FakeHost {
 protected:
  static constexpr char kProgram[] = "/usr/bin/qemu-system-x86_64";

  void SetUp() override {
    FakeHost::SetUp();
    Write("/proc/sys/kernel/random/boot_id", "6d9b1b5c-8f1e-4a57-9c7e-0123456789ab\n");
  }
  void SetProgram(pid_t pid, const std::string& path) {
    const std::filesystem::path link = absl::StrCat(root_, "/proc/", pid, "/exe");
    std::filesystem::create_directories(link.parent_path());
    std::filesystem::remove(link);
    std::filesystem::create_symlink(path, link);
  }
  void SetThread(pid_t pid, pid_t tid, const std::string& name, uint64_t start_time,
                 char state = 'S') {
    Write(
        absl::StrCat("/proc/", pid, "/task/", tid, "/stat"),
        absl::StrCat(tid, " (", name, ") ", absl::string_view(&state, 1),
                     " 1 2 3 4 5 4194560 7 8 9 10 11 12 13 14 15 16 17 18 ", start_time, " 20 21"));
  }
  void SetGroup(pid_t pid, const std::string& group) {
    Write(absl::StrCat("/proc/", pid, "/cgroup"), absl::StrCat("0::", group, "\n"));
  }
  // A process with vCPU threads pid + 1, pid + 2, ..., and behind them one for RCU.
  void AddQemu(pid_t pid, const std::string& name, int vcpus) {
    SetProgram(pid, kProgram);
    WriteCommand(pid, {kProgram, "-name", absl::StrCat(name, ",debug-threads=on")});
    SetThread(pid, pid, "qemu-system-x86", 1000);
    for (int vcpu = 0; vcpu < vcpus; ++vcpu)
      SetThread(pid, pid + 1 + vcpu, absl::StrCat("CPU ", vcpu, "/KVM"), 1001 + vcpu);
    SetThread(pid, pid + 1 + vcpus, "call_rcu", 1000);
  }
};

}  // namespace corral

#endif  // CORRAL_TESTS_LIBVIRT_FAKE_QEMUS_H_
