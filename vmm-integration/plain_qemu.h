// SPDX-License-Identifier: Apache-2.0
// Which processes are VMs, and which of their threads are vCPUs, where no libvirt answers for them:
// by the program that they run, and by the names that QEMU gives its threads.
//
// Nobody vouches for such a process. Any user can make one that counts, by running QEMU or a
// program of that name; and a guest that has taken its QEMU over can rename threads and rewrite
// arguments. Neither can get at another VM: every process is a trust domain of its own, whose key
// is made from what the kernel says about it and from nothing that it says itself. What a made-up
// VM takes from others is what one more VM takes; how many processes a user may have is for the
// operator to bound (TasksMax of user.slice).
//
// Reads only; `root` as in qemu_process.h. To look at other users' processes takes CAP_SYS_PTRACE.
// Any thread.
#ifndef CORRAL_VMM_INTEGRATION_PLAIN_QEMU_H_
#define CORRAL_VMM_INTEGRATION_PLAIN_QEMU_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "vmm-integration/qemu_process.h"
#include "vmm-integration/vm_source.h"

namespace corral {

// "CPU 3/KVM" and "CPU 3/TCG" are 3; "ALL CPUs/TCG", one thread for all, is 0. Nothing for another
// name.
std::optional<int> VcpuOfThreadName(absl::string_view name);

// Whether the process runs a file called qemu-system-*, qemu-kvm or kvm.
bool IsQemu(pid_t pid, const std::string& root = "");

// The random number of this boot.
struct BootId {
  uint64_t high = 0, low = 0;
};
// FailedPrecondition: there is none, or other users' processes may not be looked at.
absl::StatusOr<BootId> PrepareToLook(const std::string& root = "");

// A UUID of the kind that is for own use (RFC 9562, version 8), another for each process of this
// boot; libvirt makes none of that kind. `start_time` as in VcpuThread.
std::string UuidOfProcess(const BootId& boot, pid_t pid, uint64_t start_time);

// The name in QEMU's arguments, fit for a terminal and a log, or "qemu-PID".
std::string DisplayName(pid_t pid, const std::string& root = "");

struct NamedThread {
  pid_t tid = 0;
  uint64_t start_time = 0;
  std::optional<int> vcpu;  // none: a helper
};
struct QemuThreads {
  uint64_t start_time = 0;  // of the process; 0: it has ended
  std::vector<NamedThread> threads;
  size_t vcpus = 0;
  // Threads other than the first that have its name: QEMU gave them none.
  size_t nameless = 0;
};
QemuThreads ThreadsOfQemu(pid_t pid, const std::string& root = "");

// Every process there is.
std::vector<pid_t> AllProcesses(const std::string& root = "");

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_PLAIN_QEMU_H_
