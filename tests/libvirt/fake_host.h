// SPDX-License-Identifier: Apache-2.0
// A directory that looks like /proc, /sys/fs/cgroup and /run of a host with libvirt's VMs.
#ifndef CORRAL_TESTS_LIBVIRT_FAKE_HOST_H_
#define CORRAL_TESTS_LIBVIRT_FAKE_HOST_H_

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace corral {

class FakeHost : public testing::Test {
 protected:
  static constexpr char kUuidA[] = "aaaaaaaa-0000-4000-8000-000000000001";
  static constexpr char kUuidB[] = "bbbbbbbb-0000-4000-8000-000000000002";

  void SetUp() override {
    char dir[] = "/tmp/corral-fake-host-XXXXXX";
    ASSERT_NE(mkdtemp(dir), nullptr);
    root_ = dir;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }
  void Remove(const std::string& path) { std::filesystem::remove_all(root_ + path); }

  void WriteCommand(pid_t pid, const std::vector<std::string>& arguments) {
    Write(absl::StrCat("/proc/", pid, "/cmdline"),
          absl::StrJoin(arguments, absl::string_view("\0", 1)) + '\0');
  }
  void WriteThread(pid_t pid, pid_t tid, uint64_t start_time, char state = 'S',
                   uint64_t flags = 0x400100) {
    Write(absl::StrCat("/proc/", pid, "/task/", tid, "/stat"),
          absl::StrCat(tid, " (CPU 0) R (TCG) ", absl::string_view(&state, 1), " 1 2 3 4 5 ", flags,
                       " 7 8 9 10 11 12 13 14 15 16 17 18 ", start_time, " 20 21"));
  }

  // A running VM with vCPU threads pid + 1, pid + 2, ... in a group of libvirt's.
  void AddVm(pid_t pid, const std::string& name, const std::string& uuid, int vcpus,
             const std::string& group) {
    WriteCommand(pid, {"/usr/bin/qemu-system-x86_64", "-name",
                       absl::StrCat("guest=", name, ",debug-threads=on"), "-uuid", uuid});
    WriteThread(pid, pid, 1000);
    Write(absl::StrCat("/proc/", pid, "/cgroup"), absl::StrCat("0::", group, "/emulator\n"));
    for (int vcpu = 0; vcpu < vcpus; ++vcpu) AddVcpu(pid, group, vcpu);
    WriteRecords(pid, name, uuid);
  }
  void AddVcpu(pid_t pid, const std::string& group, int vcpu) {
    WriteThread(pid, pid + 1 + vcpu, 1001 + vcpu);
    Write(absl::StrCat("/sys/fs/cgroup", group, "/vcpu", vcpu, "/cgroup.threads"),
          absl::StrCat(pid + 1 + vcpu, "\n"));
  }
  // Threads (thread, process) in a cgroup of the VM's.
  void AddHelpers(const std::string& group, const std::string& leaf,
                  const std::vector<std::pair<pid_t, pid_t>>& threads) {
    std::string tids;
    for (const auto& [tid, process] : threads) {
      WriteThread(process, tid, 2000 + tid);
      Write(absl::StrCat("/proc/", tid, "/status"), absl::StrCat("Name:\tx\nTgid:\t", process));
      absl::StrAppend(&tids, tid, "\n");
    }
    Write(absl::StrCat("/sys/fs/cgroup", group, "/", leaf, "/cgroup.threads"), tids);
  }
  void WriteRecords(pid_t pid, const std::string& name, const std::string& uuid) {
    Write(absl::StrCat("/run/libvirt/qemu/", name, ".pid"), absl::StrCat(pid));
    WriteStatus(pid, name, uuid, "");
  }
  // As libvirt does it: a new file takes the old one's place.
  void WriteStatus(pid_t pid, const std::string& name, const std::string& uuid,
                   const std::string& inside) {
    const std::string path = absl::StrCat("/run/libvirt/qemu/", name, ".xml");
    Write(path + ".new",
          absl::StrCat("<domstatus state='running' reason='booted' pid='", pid,
                       "'>\n  <monitor path='/x'/>\n  <domain type='kvm' id='1'>\n    <name>", name,
                       "</name>\n    <uuid>", uuid,
                       "</uuid>\n    <metadata><x><uuid>no</uuid></x></metadata>\n", inside,
                       "  </domain>\n</domstatus>\n"));
    std::filesystem::rename(root_ + path + ".new", root_ + path);
  }

  std::string root_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_LIBVIRT_FAKE_HOST_H_
