// SPDX-License-Identifier: Apache-2.0
// What `corralctl check` finds in hosts that are good, bad in one way, or full of garbage.
#include "agent/check/host_check.h"

#include <gtest/gtest.h>
#include <sys/xattr.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "tests/check/fake_host.h"
#include "tests/check/fake_kernel_image.h"

namespace corral {
namespace {

constexpr char kYaml[] = "/etc/corral/corral.yaml";
constexpr char kStrictYaml[] =
    "version: 1\nmode: enforce\nenclaves: [{name: a, vms: libvirt, admission: strict}]\n";
constexpr char kCpu[] = "/sys/devices/system/cpu/";

std::string ShippedYaml() {
  std::ifstream file(CORRAL_SHIPPED_YAML);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

KernelFindings Check(const FakeHost& host) { return CheckWholeHost(host.tree(), kYaml); }

Finding Find(const KernelFindings& found, const std::string& id) {
  for (const Finding& f : found.findings) {
    if (f.id == id) return f;
  }
  ADD_FAILURE() << "no finding " << id;
  return {};
}

std::string Show(const Finding& f) {
  return std::string(LevelName(f.level)) + " " + f.id + " " + f.fact + " -> " + f.remedy;
}

// One thing about a good host that is changed, and what is then found.
struct Case {
  const char* path;
  const char* text;  // nullptr: the file is removed
  const char* id;
  Level level;
  const char* fact;  // a part of it
};

class HostCheckTest : public testing::Test {
 protected:
  FakeHost host_{ShippedYaml()};
};

TEST_F(HostCheckTest, AGoodHostHasNothingToComplainOf) {
  const KernelFindings found = Check(host_);
  EXPECT_EQ(found.release, "7.3.4+deb14-amd64");
  EXPECT_GT(found.findings.size(), 25u);
  for (const Finding& f : found.findings) EXPECT_EQ(f.level, Level::kOk) << Show(f);
  EXPECT_FALSE(AnyFails(found.findings));
}

const Case kCases[] = {
    {"/sys/kernel/btf/vmlinux", nullptr, "kernel.btf", Level::kFail, "no BTF"},
    {"/sys/kernel/btf/vmlinux", "nonsense", "kernel.btf", Level::kFail, "cannot be read"},
    {"/sys/kernel/sched_ext/state", "", "kernel.scheduler", Level::kFail, "another"},
    {"/sys/kernel/sched_ext", nullptr, "kernel.scheduler", Level::kFail, "no sched_ext"},
    {"/proc/sys/kernel/osrelease", "7.2.12+deb13-amd64\n", "kernel.tested", Level::kWarn, "7.2.12"},
    {"/proc/sys/kernel/osrelease", "7.3.40\n", "kernel.tested", Level::kWarn, "7.3.40"},
    {"/proc/sys/kernel/osrelease", nullptr, "kernel.tested", Level::kWarn, "not known"},
    {"/boot/config-7.3.4+deb14-amd64", "CONFIG_SCHED_CLASS_EXT=m\nCONFIG_BPF_JIT=y\n",
     "kernel.config", Level::kFail, "CONFIG_SCHED_CLASS_EXT (the"},
    {"/boot/config-7.3.4+deb14-amd64", nullptr, "kernel.config", Level::kWarn, "not to be found"},
    {"/boot/config-7.3.4+deb14-amd64", "\x01\x02", "kernel.config", Level::kWarn, "no kernel conf"},
    {"/proc/self/status", "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\n",
     "host.privileges", Level::kFail, "user 1000"},
    {"/proc/self/status", "Uid:\t0\t0\t0\t0\nCapEff:\t00000000a80425fb\n", "host.privileges",
     Level::kFail, "CAP_BPF"},
    {"/proc/self/status", "Uid:\t0\n", "host.privileges", Level::kWarn, "does not tell"},
    {"/proc/self/status", nullptr, "host.memlock", Level::kWarn, "8388608 bytes"},
    {"/sys/kernel/security/lockdown", "none integrity [confidentiality]\n", "host.lockdown",
     Level::kFail, "confidentiality"},
    {"/sys/kernel/security/lockdown", "none [integrity] confidentiality\n", "host.lockdown",
     Level::kOk, "integrity"},
    {"/sys/kernel/security/lockdown", "?", "host.lockdown", Level::kWarn, "not known"},
    {"/sys/kernel/security/lockdown", nullptr, "host.lockdown", Level::kOk, "not locked"},
    {"/proc/mounts", "sysfs /sys sysfs rw 0 0\n", "host.bpffs", Level::kFail, "not mounted"},
    {"/proc/mounts", "bpf /sys/fs/bpf bpf rw 0 0\nnone /sys/fs/bpf tmpfs rw 0 0\n", "host.bpffs",
     Level::kFail, "not mounted"},
    {"/proc/mounts", nullptr, "host.bpffs", Level::kFail, "cannot read"},
    {"/etc/libvirt/qemu.conf", "sched_core = \"vcpus\"\n", "libvirt.sched_core", Level::kFail,
     "\"vcpus\""},
    {"/etc/libvirt/qemu.conf", "  sched_core=\"full\" # all\n", "libvirt.sched_core", Level::kFail,
     "\"full\""},
    {"/etc/libvirt/qemu.conf", "sched_core = \"none\"\n", "libvirt.sched_core", Level::kOk, "no c"},
    {"/etc/libvirt/qemu.conf", "sched_core_of_mine = 1\n", "libvirt.sched_core", Level::kOk,
     "no c"},
    {"/etc/libvirt/qemu.conf", nullptr, "libvirt.sched_core", Level::kOk, "no /etc"},
    {"/proc/cmdline", "quiet isolcpus=2-3\n", "cpu.isolated", Level::kFail, "isolcpus=2-3"},
    {"/proc/cmdline", "isolcpus=nohz,domain,2-3\n", "cpu.isolated", Level::kFail, "domain"},
    {"/proc/cmdline", "isolcpus=nohz,managed_irq,2-3\n", "cpu.isolated", Level::kOk, "no CPU"},
    {"/proc/cmdline", "xisolcpus=2\n", "cpu.isolated", Level::kOk, "no CPU"},
    {"/sys/devices/system/cpu/isolated", "2-3\n", "cpu.isolated", Level::kWarn, "cpuset"},
    {"/sys/devices/system/cpu/isolated", "2-", "cpu.isolated", Level::kWarn, "no list"},
    {"/sys/devices/system/cpu/nohz_full", "2-3\n", "cpu.nohz_full", Level::kOk, "2-3"},
    {"/sys/devices/system/cpu/nohz_full", "(null)\n", "cpu.nohz_full", Level::kOk, "no CPU"},
    {"/sys/devices/system/cpu/nohz_full", "x", "cpu.nohz_full", Level::kWarn, "no list"},
    {"/sys/devices/system/cpu/smt/control", "off\n", "cpu.smt", Level::kOk, "SMT is off"},
    {"/sys/devices/system/cpu/smt/control", "2\n", "cpu.smt", Level::kOk, "SMT is on"},
    {"/sys/devices/system/cpu/smt/control", "maybe\n", "cpu.smt", Level::kWarn, "maybe"},
    {"/sys/devices/system/cpu/smt/control", nullptr, "cpu.smt", Level::kWarn, "not told"},
    {"/sys/devices/system/cpu/present", "0-5\n", "cpu.online", Level::kWarn, "CPUs 4-5 are off"},
    {"/sys/devices/system/cpu/online", "0-\n", "cpu.online", Level::kFail, "no list"},
    {"/sys/devices/system/cpu/online", "", "cpu.online", Level::kFail, "no CPU is online"},
    {"/sys/devices/system/cpu/online", nullptr, "cpu.online", Level::kFail, "cannot read"},
    {"/sys/devices/system/cpu/present", "0-5000\n", "cpu.online", Level::kFail, "no list"},
    {"/sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "1-2\n", "cpu.online",
     Level::kFail, "overlap"},
    {"/sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "3\n", "cpu.online",
     Level::kFail, "CPU 2 has siblings 3"},
    {"/sys/devices/system/cpu/cpu2/topology/thread_siblings_list", nullptr, "cpu.online",
     Level::kFail, "cannot read"},
    {"/sys/devices/system/cpu/vulnerabilities/mds", "Vulnerable; SMT vulnerable\n",
     "mitigation.mds", Level::kWarn, "Vulnerable"},
    {"/sys/devices/system/cpu/vulnerabilities/mds",
     "Vulnerable: Clear CPU buffers attempted, no microcode; SMT vulnerable\n", "mitigation.mds",
     Level::kWarn, "no microcode"},
    {"/sys/devices/system/cpu/vulnerabilities/l1tf", "Mitigation: PTE Inversion; VMX: vulnerable\n",
     "mitigation.l1tf", Level::kWarn, "VMX"},
    {"/sys/devices/system/cpu/vulnerabilities/mmio_stale_data", "Unknown: No mitigations\n",
     "mitigation.mmio_stale_data", Level::kWarn, "Unknown"},
    {"/sys/devices/system/cpu/vulnerabilities/spectre_v2",
     "Mitigation: Retpolines; IBPB: disabled; STIBP: disabled\n", "mitigation.spectre_v2",
     Level::kWarn, "IBPB"},
    {"/sys/devices/system/cpu/vulnerabilities/vmscape", nullptr, "mitigation.vmscape", Level::kWarn,
     "does not tell"},
    {"/sys/devices/system/cpu/vulnerabilities/srbds", "\xff\xfe", "mitigation.srbds", Level::kWarn,
     "\"??\""},
    {"/sys/module/kvm_intel/parameters/vmentry_l1d_flush", "never\n",
     "mitigation.vmentry_l1d_flush", Level::kWarn, "never"},
    {"/sys/module/kvm_intel/parameters/vmentry_l1d_flush", nullptr, "mitigation.vmentry_l1d_flush",
     Level::kOk, "not loaded"},
    {"/sys/module/kvm_intel/parameters/vmentry_l1d_flush", "", "mitigation.vmentry_l1d_flush",
     Level::kWarn, "\"\""},
    {"/sys/kernel/mm/ksm/run", "1\n", "memory.ksm", Level::kWarn, "running"},
    {"/sys/kernel/mm/ksm/pages_shared", "123\n", "memory.ksm", Level::kWarn, "123 pages"},
    {"/sys/kernel/mm/ksm/run", "x\n", "memory.ksm", Level::kWarn, "not known"},
    {"/sys/kernel/mm/ksm", nullptr, "memory.ksm", Level::kOk, "no KSM"},
    {kYaml, nullptr, "config.file", Level::kOk, "no /etc/corral"},
    {kYaml, "version: 1\nmode: enforced\n", "config.file", Level::kFail, "corral.yaml:2"},
    {kYaml, "version: 1\nenclaves:\n  - name: vms\n    cpus: 0-2\n    vms: libvirt\n",
     "config.file", Level::kFail, "SMT sibling"},
    {kYaml, "version: 1\nenclaves:\n  - name: vms\n    cpus: 0-7\n    vms: libvirt\n",
     "config.file", Level::kFail, "not online"},
    {kYaml, "\x01", "config.file", Level::kFail, "0x01"},
    {kYaml, kStrictYaml, "libvirt.hook", Level::kFail, "qemu.d/corral is not there, so VMs"},
    {kYaml, "version: 1\nenclaves: [{name: a, vms: libvirt, admission: strict}]\n", "libvirt.hook",
     Level::kWarn, "is not there, so VMs"},
    {kYaml, "version: 1\nadmision: strict\n", "libvirt.hook", Level::kWarn, "cannot be told"},
    {kYaml, nullptr, "libvirt.hook", Level::kOk, "nothing needs it"},
};

TEST_F(HostCheckTest, EachBadKindIsFound) {
  for (const Case& c : kCases) {
    FakeHost host(ShippedYaml());
    if (c.text == nullptr) {
      host.Remove(c.path);
    } else {
      host.Write(c.path, c.text);
    }
    const Finding f = Find(Check(host), c.id);
    EXPECT_EQ(f.level, c.level) << c.path << ": " << Show(f);
    EXPECT_NE(f.fact.find(c.fact), std::string::npos) << c.path << ": " << Show(f);
    // Whatever keeps Corral out has a way out.
    EXPECT_TRUE(f.level != Level::kFail || !f.remedy.empty()) << Show(f);
  }
}

TEST_F(HostCheckTest, OurOwnClassIsNoOtherScheduler) {
  host_.Write("/sys/kernel/sched_ext/state", "enabled\n");
  host_.Write("/sys/kernel/sched_ext/root/ops", "corral\n");
  EXPECT_EQ(Find(Check(host_), "kernel.scheduler").level, Level::kOk);
  host_.Write("/sys/kernel/sched_ext/root/ops", "scx_simple\n");
  const Finding other = Find(Check(host_), "kernel.scheduler");
  EXPECT_EQ(other.level, Level::kFail);
  EXPECT_NE(other.fact.find("scx_simple"), std::string::npos) << other.fact;
}

TEST_F(HostCheckTest, AKernelThatLacksKfuncsIsRefusedByName) {
  host_.Write("/sys/kernel/btf/vmlinux",
              MakeBtf({.absent = {"scx_bpf_task_cpu"}, .untagged = {"scx_bpf_kick_cpu"}}));
  const Finding f = Find(Check(host_), "kernel.kfuncs");
  EXPECT_EQ(f.level, Level::kFail);
  EXPECT_NE(f.fact.find("has no scx_bpf_task_cpu"), std::string::npos) << f.fact;
  EXPECT_NE(f.fact.find("tag as callable"), std::string::npos) << f.fact;
  EXPECT_NE(f.fact.find("scx_bpf_kick_cpu"), std::string::npos) << f.fact;
  host_.Write("/sys/kernel/btf/vmlinux", MakeBtf({.sched_ext = false}));
  EXPECT_EQ(Find(Check(host_), "kernel.sched_ext").level, Level::kFail);
}

TEST_F(HostCheckTest, StrictAdmissionNeedsAHookThatCanRun) {
  const std::string hook = "/etc/libvirt/hooks/qemu.d/corral";
  host_.Write(kYaml, kStrictYaml);
  host_.Write(hook, "#!/bin/sh\n");
  const Finding f = Find(Check(host_), "libvirt.hook");
  EXPECT_EQ(f.level, Level::kFail) << Show(f);
  EXPECT_NE(f.fact.find("is not executable"), std::string::npos) << f.fact;
  std::filesystem::permissions(host_.tree().Path(hook), std::filesystem::perms(0755));
  EXPECT_EQ(Find(Check(host_), "libvirt.hook").level, Level::kOk);
}

// Only root may label files, and only where the file system keeps labels.
TEST_F(HostCheckTest, AHookThatSelinuxKeepsFromRunningIsFound) {
  const std::string hook = "/etc/libvirt/hooks/qemu.d/corral";
  host_.Write(hook, "#!/bin/sh\n");
  std::filesystem::permissions(host_.tree().Path(hook), std::filesystem::perms(0755));
  host_.Write("/sys/fs/selinux/enforce", "1");
  EXPECT_EQ(Find(Check(host_), "libvirt.hook").level, Level::kOk) << "it has no label";
  constexpr char kLabel[] = "system_u:object_r:virt_hook_t:s0";
  if (setxattr(host_.tree().Path(hook).c_str(), "security.selinux", kLabel, sizeof(kLabel), 0) != 0)
    GTEST_SKIP() << "cannot label a file: " << strerror(errno);
  const Finding f = Find(Check(host_), "libvirt.hook");
  EXPECT_EQ(f.level, Level::kFail) << Show(f);
  EXPECT_NE(f.remedy.find("install corral-selinux"), std::string::npos) << f.remedy;
  host_.Write("/sys/fs/selinux/enforce", "0");
  EXPECT_EQ(Find(Check(host_), "libvirt.hook").level, Level::kOk);
}

TEST_F(HostCheckTest, SmtOffExplainsOfflineCpus) {
  host_.Write(std::string(kCpu) + "smt/control", "off\n");
  host_.Write(std::string(kCpu) + "online", "0,2\n");
  host_.Write(std::string(kCpu) + "cpu0/topology/thread_siblings_list", "0\n");
  host_.Write(std::string(kCpu) + "cpu2/topology/thread_siblings_list", "2\n");
  const Finding f = Find(Check(host_), "cpu.online");
  EXPECT_EQ(f.level, Level::kOk) << Show(f);
  EXPECT_NE(f.fact.find("1,3"), std::string::npos) << f.fact;
}

TEST_F(HostCheckTest, MoreSiblingsThanTheClassKnowsAreRefused) {
  for (const char* list : {"present", "online"}) host_.Write(absl::StrCat(kCpu, list), "0-15\n");
  for (int i = 0; i < 16; ++i)
    host_.Write(absl::StrCat(kCpu, "cpu", i, "/topology/thread_siblings_list"), "0-15\n");
  const Finding f = Find(Check(host_), "cpu.online");
  EXPECT_EQ(f.level, Level::kFail) << Show(f);
  EXPECT_NE(f.fact.find("16 siblings"), std::string::npos) << f.fact;
}

TEST_F(HostCheckTest, AnotherConfigurationMayBeJudged) {
  host_.Write("/tmp/mine.yaml", "version: 2\n");
  EXPECT_EQ(Find(CheckWholeHost(host_.tree(), "/tmp/mine.yaml"), "config.file").level,
            Level::kFail);
}

TEST_F(HostCheckTest, TheRunningKernelsOwnConfigurationGoesFirst) {
  host_.Write("/proc/config.gz", Compress("CONFIG_BPF_SYSCALL=y\n", "gzip"));
  EXPECT_EQ(Find(Check(host_), "kernel.config").level, Level::kFail);
  host_.Write("/proc/config.gz", "\x1f\x8b garbage");
  EXPECT_EQ(Find(Check(host_), "kernel.config").level, Level::kWarn);
}

// Every file in turn empty, cut, or noise: all findings are still there, each of one line.
TEST_F(HostCheckTest, NoFileCanBreakIt) {
  const size_t all = Check(host_).findings.size();
  for (const std::string& path : host_.Files()) {
    const std::string good = *ReadWholeFile(host_.tree().Path(path), 1 << 24);
    for (const std::string& bad : {std::string(), good.substr(0, good.size() / 2),
                                   std::string(70000, '\xff'), std::string("\0\n\0,-", 5)}) {
      host_.Write(path, bad);
      const KernelFindings found = Check(host_);
      // Without BTF there is no more to say of it.
      EXPECT_GE(found.findings.size(), path == "/sys/kernel/btf/vmlinux" ? all - 2 : all) << path;
      for (const Finding& f : found.findings) {
        EXPECT_EQ(f.fact.find_first_of(std::string("\n\0\xff", 3)), std::string::npos) << f.id;
        EXPECT_LT(f.fact.size(), 700u) << f.id;
      }
    }
    host_.Write(path, good);
  }
}

TEST_F(HostCheckTest, AnInstalledKernelIsFoundByItsVersion) {
  const std::string elf = MakeElf(MakeBtf());
  host_.Write("/boot/vmlinuz-7.3.4-a", MakeBzImage(elf, "zstd", "7.3.4-a"));
  host_.Write("/boot/config-7.3.4-a", "CONFIG_SCHED_CLASS_EXT=y\n");
  host_.Write("/usr/lib/modules/7.9.1-b/vmlinuz", MakeBzImage(elf, "xz", "7.9.1-b"));
  const KernelFindings a = CheckInstalledKernel(host_.tree(), "7.3.4-a");
  EXPECT_EQ(a.release, "7.3.4-a");
  EXPECT_EQ(Find(a, "kernel.kfuncs").level, Level::kOk);
  EXPECT_EQ(Find(a, "kernel.config").level, Level::kFail);
  const KernelFindings b = CheckInstalledKernel(host_.tree(), "7.9.1-b");
  EXPECT_FALSE(AnyFails(b.findings));
  EXPECT_EQ(Find(b, "kernel.tested").level, Level::kWarn);
  for (const char* none : {"7.0.0", "", "..", "../../etc/passwd", "7.9.1-b/vmlinuz"}) {
    const Finding f = Find(CheckInstalledKernel(host_.tree(), none), "kernel.image");
    EXPECT_EQ(f.level, Level::kFail) << none;
    EXPECT_NE(f.remedy.find("7.3.4-a, 7.9.1-b"), std::string::npos) << f.remedy;
  }
}

TEST_F(HostCheckTest, ABrokenImageIsAFindingToo) {
  const std::string image = MakeBzImage(MakeElf(MakeBtf()), "gzip");
  host_.Write("/boot/vmlinuz-cut", image.substr(0, image.size() / 2));
  const Finding cut = Find(CheckInstalledKernel(host_.tree(), "cut"), "kernel.image");
  EXPECT_EQ(cut.level, Level::kFail);
  EXPECT_NE(cut.fact.find("truncated"), std::string::npos) << cut.fact;
  host_.Write("/boot/vmlinuz-none", MakeBzImage(MakeElf(""), "gzip"));
  EXPECT_EQ(Find(CheckInstalledKernel(host_.tree(), "none"), "kernel.btf").level, Level::kFail);
  const Finding missing = Find(CheckKernelImage("/nowhere/vmlinuz"), "kernel.image");
  EXPECT_NE(missing.fact.find("No such file"), std::string::npos) << missing.fact;
  EXPECT_EQ(Find(CheckKernelImage("/"), "kernel.image").level, Level::kFail);
}

}  // namespace
}  // namespace corral
