// SPDX-License-Identifier: Apache-2.0
#include "tests/check/fake_host.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/check/fake_kernel_image.h"

namespace corral {
namespace {

namespace fs = std::filesystem;

constexpr char kCpu[] = "/sys/devices/system/cpu/";
constexpr char kRelease[] = "7.3.4+deb14-amd64";

}  // namespace

FakeHost::FakeHost(const std::string& yaml) {
  std::string name = fs::temp_directory_path() / "corral-host.XXXXXX";
  if (mkdtemp(name.data()) == nullptr) abort();
  root_ = name;
  const std::string cpu = kCpu;
  Write("/proc/sys/kernel/osrelease", std::string(kRelease) + "\n");
  Write("/proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro quiet\n");
  Write("/proc/mounts", "sysfs /sys sysfs rw 0 0\nbpf /sys/fs/bpf bpf rw,mode=700 0 0\n");
  Write("/proc/self/status", "Name:\tcorralctl\nUid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n");
  Write("/proc/self/limits", "Max locked memory         8388608              8388608   bytes\n");
  Write("/sys/kernel/btf/vmlinux", MakeBtf());
  Write("/sys/kernel/sched_ext/state", "disabled\n");
  Write("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
  Write("/sys/kernel/mm/ksm/run", "0\n");
  Write("/sys/kernel/mm/ksm/pages_shared", "0\n");
  Write("/sys/module/kvm_intel/parameters/vmentry_l1d_flush", "cond\n");
  Write(std::string("/boot/config-") + kRelease,
        "# Linux\nCONFIG_SCHED_CLASS_EXT=y\nCONFIG_BPF_SYSCALL=y\nCONFIG_BPF_JIT=y\n"
        "CONFIG_DEBUG_INFO_BTF=y\n");
  for (const char* list : {"present", "online"}) Write(cpu + list, "0-3\n");
  Write(cpu + "isolated", "\n");
  Write(cpu + "nohz_full", "\n");
  Write(cpu + "smt/control", "on\n");
  for (int i = 0; i < 4; ++i) {
    Write(cpu + "cpu" + std::to_string(i) + "/topology/thread_siblings_list",
          i < 2 ? "0-1\n" : "2-3\n");
  }
  for (const char* name : {"tsx_async_abort", "mmio_stale_data", "srbds", "gather_data_sampling",
                           "reg_file_data_sampling", "tsa", "retbleed", "spec_rstack_overflow",
                           "indirect_target_selection"}) {
    Write(cpu + "vulnerabilities/" + name, "Not affected\n");
  }
  Write(cpu + "vulnerabilities/l1tf",
        "Mitigation: PTE Inversion; VMX: conditional cache flushes, SMT vulnerable\n");
  Write(cpu + "vulnerabilities/mds", "Mitigation: Clear CPU buffers; SMT vulnerable\n");
  Write(cpu + "vulnerabilities/vmscape", "Mitigation: IBPB before exit to userspace\n");
  Write(cpu + "vulnerabilities/spectre_v2",
        "Mitigation: Retpolines; IBPB: conditional; STIBP: disabled; BHI: Not affected\n");
  Write("/etc/libvirt/qemu.conf", "#sched_core = \"none\"\nuser = \"root\"\n");
  Write("/etc/corral/corral.yaml", yaml);
}

FakeHost::~FakeHost() {
  std::error_code error;
  fs::remove_all(root_, error);
}

void FakeHost::Write(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(root_ + path).parent_path());
  std::ofstream file(root_ + path, std::ios::binary | std::ios::trunc);
  file << text;
  if (!file.flush()) abort();
}

void FakeHost::Remove(const std::string& path) {
  if (fs::remove_all(root_ + path) == 0) abort();
}

std::vector<std::string> FakeHost::Files() const {
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(root_)) {
    if (entry.is_regular_file()) files.push_back(entry.path().string().substr(root_.size()));
  }
  return files;
}

}  // namespace corral
