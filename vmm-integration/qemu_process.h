// SPDX-License-Identifier: Apache-2.0
// What /proc and the cgroup file system say about a QEMU process and its vCPU threads. No libvirt
// call, so never slow.
//
// Reads only. `root` is "" on a real machine; tests give a tree of their own. Any thread.
#ifndef CORRAL_VMM_INTEGRATION_QEMU_PROCESS_H_
#define CORRAL_VMM_INTEGRATION_QEMU_PROCESS_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "vmm-integration/vm_source.h"

namespace corral {

// The whole file; nothing if it cannot be read.
std::optional<std::string> ReadSmallFile(const std::string& path);

// The VM that process `pid` says it runs, from QEMU's -uuid and -name arguments. Nothing if it is
// no QEMU or has gone. A claim only: a process can rewrite its arguments.
std::optional<Vm> VmOfProcess(pid_t pid, const std::string& root = "");

// The value of QEMU's -name, without its options. Empty if there is none. A claim only, and any
// bytes but zero.
std::string NameOfProcess(pid_t pid, const std::string& root = "");

struct ThreadStat {
  std::string name;  // may hold anything
  uint64_t start_time = 0;
  uint64_t flags = 0;  // PF_*, linux/sched.h
};

// Nothing if the thread has ended; a zombie has.
std::optional<ThreadStat> ReadThread(pid_t pid, pid_t tid, const std::string& root = "");

// When the thread began, in clock ticks since boot. Nothing if it has ended.
std::optional<uint64_t> StartTime(pid_t pid, pid_t tid, const std::string& root = "");

// Whether the process was killed or is exiting, and so loses its threads one by one, or has ended.
bool IsEnding(pid_t pid, const std::string& root = "");

// The process that thread `tid` belongs to. Nothing if it has ended.
std::optional<pid_t> ProcessOf(pid_t tid, const std::string& root = "");

// The directory of the process's cgroup in the unified hierarchy. Nothing if it has ended, or where
// there is no such hierarchy.
std::optional<std::filesystem::path> CgroupOf(pid_t pid, const std::string& root = "");

// "vcpu3" is 3. Nothing for another name.
std::optional<int> VcpuIndex(absl::string_view cgroup);

struct ScannedVcpu {
  pid_t tid = 0;
  int vcpu = 0;
};

// Every thread in a cgroup vcpuN beside the one that the process's main thread is in, which is
// where libvirt puts them, whatever partition the VM is in.
std::vector<ScannedVcpu> VcpuThreadsOf(pid_t pid, const std::string& root = "");

// Every other thread in the VM's cgroups that `which` asks for.
std::vector<HelperThread> HelperThreadsOf(pid_t pid, VmThreads which, const std::string& root = "");

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_QEMU_PROCESS_H_
