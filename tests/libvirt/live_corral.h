// SPDX-License-Identifier: Apache-2.0
// Corral at work in the test host: an auditor, the class, corrald and its agents, and what the
// class holds of a VM, read from its own memory. libvirtd must run.
#ifndef CORRAL_TESTS_LIBVIRT_LIVE_CORRAL_H_
#define CORRAL_TESTS_LIBVIRT_LIVE_CORRAL_H_

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel/audit/auditor.h"
#include "kernel/bpf/bpf_control_kernel.h"
#include "kernel/cpu_set.h"
#include "kernel/ghost_kernel.h"

namespace corral {

// Polls until `done`. Returns false if that takes longer.
bool Within(std::chrono::milliseconds patience, const std::function<bool()>& done);

// The QEMU process of a VM that libvirt runs; 0: none.
pid_t ProcessOf(const std::string& vm);

// A thread of a VM, as the class has it.
struct HeldTask {
  static constexpr int kNoVcpu = -1;

  pid_t tid = 0;
  int vcpu = kNoVcpu;
  TaskAttributes attributes;
  Duration granted{0};
  CpuSet cpus;  // that it may use
  std::string domain;
};

// What the class has of a process.
struct HeldVm {
  std::map<int, HeldTask> vcpus;
  std::vector<HeldTask> others;
};

class LiveCorral {
 public:
  static constexpr char kConfig[] = "/run/corral-host/corral.yaml";

  // The VMs of libvirt on all CPUs.
  static constexpr char kAllVms[] =
      "version: 1\n"
      "mode: enforce\n"
      "enclaves:\n"
      "  - {name: vms, cpus: auto, vms: libvirt}\n";

  // With this corral.yaml, in a class for so many threads and domains. A failure fails the test.
  LiveCorral(const std::string& yaml, int tasks, int domains = 64);
  // Everything is given back.
  ~LiveCorral();

  void StartDaemon();
  void StopDaemon(int signal);
  // Another class is there now, which corrald has loaded.
  void OpenClass();

  const ControlKernel& kernel() const { return *kernel_; }
  // Watches since before the class was there.
  Auditor& auditor() { return *auditor_; }
  pid_t daemon() const { return daemon_; }
  HeldVm Held(pid_t process) const;
  // Of the domains that are in use.
  std::vector<std::string> Domains() const;
  // Threads that the class has, of whatever process.
  int Tasks() const;
  // Which task each thread is.
  std::map<uint32_t, uint64_t> Gtids() const;
  // All that corrald said so far.
  std::string Log() const;

 private:
  HeldTask TaskIn(size_t slot) const;

  pid_t daemon_ = 0;
  std::optional<Auditor> auditor_;
  std::unique_ptr<BpfControlKernel> kernel_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_LIBVIRT_LIVE_CORRAL_H_
