// SPDX-License-Identifier: Apache-2.0
#include "tests/libvirt/virsh.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdio.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace corral {

std::string Shell(const std::string& command) {
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) {
    ADD_FAILURE() << command;
    return "";
  }
  std::string out;
  char part[4096];
  while (const size_t got = fread(part, 1, sizeof(part), pipe)) out.append(part, got);
  EXPECT_EQ(pclose(pipe), 0) << command << ": " << out;
  return std::string(absl::StripTrailingAsciiWhitespace(out));
}

std::string WriteDomain(const DomainSpec& spec) {
  const std::pair<absl::string_view, absl::string_view> guest =
      absl::StrSplit(spec.guest, absl::MaxSplits(' ', 1));
  const std::string boot =
      spec.guest.empty()
          ? ""
          : absl::StrCat("<kernel>", guest.first, "</kernel><cmdline>", guest.second, "</cmdline>");
  const std::string disk =
      spec.disk.empty()
          ? ""
          : absl::StrCat("<disk type='file'><driver name='qemu' type='qcow2'/><source file='",
                         spec.disk, "'/><target dev='vda' bus='virtio'/></disk>");
  const std::string file = absl::StrCat("/tmp/", spec.name, ".xml");
  std::ofstream(file) << "<domain type='qemu'><name>" << spec.name
                      << "</name><memory unit='MiB'>32</memory><vcpu current='" << spec.vcpus
                      << "'>" << spec.max_vcpus
                      << "</vcpu><os><type arch='x86_64' machine='pc'>hvm</type>" << boot
                      << "</os><features><acpi/><apic/></features><devices>"
                         "<emulator>/usr/bin/qemu-system-x86_64</emulator>"
                         "<controller type='usb' model='none'/><memballoon model='none'/>"
                      << disk << "</devices></domain>";
  return file;
}

void DefineDomain(const std::string& name, int vcpus, int max_vcpus) {
  const std::string file = WriteDomain({.name = name, .vcpus = vcpus, .max_vcpus = max_vcpus});
  Shell(absl::StrCat("virsh -q define ", file));
}

std::string UuidOf(const std::string& name) {
  return Shell(absl::StrCat("virsh -q domuuid ", name));
}

std::map<int, pid_t> VcpusInProc(pid_t pid) {
  std::map<int, pid_t> vcpus;
  std::error_code error;
  for (const auto& task :
       std::filesystem::directory_iterator(absl::StrCat("/proc/", pid, "/task"), error)) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    int vcpu = 0;
    if (sscanf(name.c_str(), "CPU %d/", &vcpu) == 1) {
      vcpus[vcpu] = std::stoi(task.path().filename().string());
    }
  }
  return vcpus;
}

void KillLibvirtd() {
  pid_t pid = 0;
  std::ifstream("/run/libvirtd.pid") >> pid;
  ASSERT_GT(pid, 1);
  ASSERT_EQ(kill(pid, SIGKILL), 0);
}

uint64_t RunTime(pid_t pid, pid_t tid) {
  uint64_t ns = 0;
  std::ifstream(absl::StrCat("/proc/", pid, "/task/", tid, "/schedstat")) >> ns;
  return ns;
}

}  // namespace corral
