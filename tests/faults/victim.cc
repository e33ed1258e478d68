// SPDX-License-Identifier: Apache-2.0
#include "tests/faults/victim.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "kernel/bpf/sched_ext_state.h"
#include "kernel/bpf/threads_by_policy.h"
#include "tests/libvirt/virsh.h"
#include "vmm-integration/qemu_process.h"

namespace corral {
namespace {

using std::chrono::seconds;

constexpr int kVcpus = 2;
// In a second, of a guest that has booted.
constexpr Duration kMuch = std::chrono::milliseconds(100);
// A guest boots slowly where the machine is emulated twice over.
constexpr seconds kBoot{240};

std::string ConfigWith(const std::string& cpus) {
  return absl::StrCat(
      "version: 1\n"
      "mode: enforce\n"
      "class_loss: recover\n"
      "samples: 1s\n"
      "enclaves:\n"
      "  - {name: vms, vms: libvirt, cpus: ",
      cpus, "}\n");
}

// The process; 0 if there is none. For a moment the class does not know yet that it has ended.
pid_t AgentOf(const ghost_core_state& core) {
  if (core.agent_tid == 0) return 0;
  return ProcessOf(static_cast<pid_t>(core.agent_tid), "").value_or(0);
}

}  // namespace

void EjectTheClass() {
  std::ofstream("/proc/sys/kernel/sysrq") << 1 << std::flush;
  std::ofstream("/proc/sysrq-trigger") << 'S' << std::flush;
  EXPECT_TRUE(Within(seconds(30), [] { return ReadSchedExtState().Disabled(); }));
}

Victim::Victim(const std::string& cpus) {
  // corrald's own disk, which may be full.
  Shell("mkdir -p /var/lib/corral && mount -t tmpfs -o size=80m faults /var/lib/corral");
  Shell(absl::StrCat(CORRAL_LIBVIRTD_SCRIPT, " restart"));
  corral_ = std::make_unique<LiveCorral>(ConfigWith(cpus), 4096);
  virsh_ = std::make_unique<VirshShell>();
  for (const std::string& vm : vms_) {
    const std::string file = WriteDomain({.name = vm,
                                          .vcpus = kVcpus,
                                          .max_vcpus = kVcpus,
                                          .guest = absl::StrCat(CORRAL_GUEST, " spin")});
    const VirshShell::Answer answer = virsh_->Run("create " + file);
    EXPECT_TRUE(answer.ok) << vm << ": " << answer.text;
  }
  // A guest starts its second vCPU late; then both compute all the time.
  EXPECT_TRUE(Within(kBoot, [&] {
    const std::map<pid_t, uint64_t> before = RunTimes();
    std::this_thread::sleep_for(seconds(1));
    return Whole() && EveryVcpuRan(before, kMuch);
  })) << Describe();
}

Victim::~Victim() {
  for (const std::string& vm : vms_) virsh_->Run("destroy " + vm);
  EXPECT_TRUE(Within(seconds(30), [&] { return corral_->Tasks() == 0; }));
  virsh_.reset();
  corral_.reset();
  EXPECT_TRUE(ReadSchedExtState().Disabled()) << "a class was left";
}

pid_t Victim::Agent() const {
  for (const ghost_core_state& core : corral_->kernel().cores()) {
    if (core.agent_tid != 0) return AgentOf(core);
  }
  return 0;
}

std::vector<pid_t> Victim::VcpuThreads() const {
  std::vector<pid_t> threads;
  for (const std::string& vm : vms_) {
    for (const auto& [vcpu, tid] : VcpusInProc(ProcessOf(vm))) threads.push_back(tid);
  }
  return threads;
}

bool Victim::Whole() const {
  const ControlKernel& kernel = corral_->kernel();
  if (!kernel.info().enabled || !ReadSchedExtState().Ours()) return false;
  for (const ghost_core_state& core : kernel.cores()) {
    if (core.enclave != 0 && (AgentOf(core) == 0 || core.agent_stalled != 0)) return false;
  }
  const std::vector<pid_t> threads = VcpuThreads();
  const std::map<uint32_t, uint64_t> held = corral_->Gtids();
  for (const pid_t tid : threads) {
    if (!held.contains(static_cast<uint32_t>(tid)) || sched_getscheduler(tid) != kSchedExtPolicy)
      return false;
  }
  return threads.size() == vms_.size() * kVcpus;
}

std::map<pid_t, uint64_t> Victim::RunTimes() const {
  std::map<pid_t, uint64_t> times;
  for (const pid_t tid : VcpuThreads()) times[tid] = RunTime(tid, tid);
  return times;
}

bool Victim::EveryVcpuRan(const std::map<pid_t, uint64_t>& since, Duration least) const {
  for (const auto& [tid, before] : since) {
    if (FromNs(RunTime(tid, tid)) < FromNs(before) + least) return false;
  }
  return since.size() == vms_.size() * kVcpus;
}

std::string Victim::Describe() const {
  const ControlKernel& kernel = corral_->kernel();
  std::string text = absl::StrCat("class ", kernel.info().enabled ? "enabled" : "not enabled");
  for (size_t i = 0; i < kernel.cores().size(); ++i) {
    const ghost_core_state& core = kernel.cores()[i];
    absl::StrAppend(&text, "; core ", i, ": agent ", core.agent_tid,
                    core.agent_stalled != 0 ? " (stalled)" : "");
  }
  const std::map<uint32_t, uint64_t> held = corral_->Gtids();
  for (const pid_t tid : VcpuThreads()) {
    absl::StrAppend(&text, "; vCPU thread ", tid, " policy ", sched_getscheduler(tid),
                    held.contains(static_cast<uint32_t>(tid)) ? "" : ", not held", ", ran ",
                    RunTime(tid, tid) / 1'000'000, " ms");
  }
  return text;
}

}  // namespace corral
