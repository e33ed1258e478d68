// SPDX-License-Identifier: Apache-2.0
// Who tells Corral which threads are whose vCPUs. The rest of Corral knows this interface and no
// virtual machine monitor.
//
// Thread rules: Start() reports what exists before it returns, on the caller's thread; afterwards
// all calls of the sink come from one thread of the source, one at a time, until Stop() has
// returned. A sink must not call the source back, and should be quick: the next vCPU waits.
#ifndef CORRAL_VMM_INTEGRATION_VM_SOURCE_H_
#define CORRAL_VMM_INTEGRATION_VM_SOURCE_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "kernel/types.h"
#include "vmm-integration/vm_settings.h"

namespace corral {

struct Vm {
  std::string uuid;  // as libvirt writes it, lower case; of one living VM only
  std::string name;
  pid_t pid = 0;  // of its QEMU process
};

struct VcpuThread {
  pid_t tid = 0;
  int vcpu = 0;
  // In clock ticks since boot, from /proc: tells a thread from a later one with the same id.
  uint64_t start_time = 0;
  Time entered{};  // its vCPU cgroup, as seen by the kernel; Time{} if a scan found it
};

// A thread that works for a VM and is no vCPU.
struct HelperThread {
  pid_t tid = 0;
  pid_t process = 0;      // QEMU's, or a program's that works for it (swtpm, virtiofsd, ...)
  bool iothread = false;  // in a group of libvirt's for I/O threads
  uint64_t start_time = 0;
};

// Which threads of a VM a source tells.
enum class VmThreads {
  kVcpus,
  kProcess,    // all of QEMU's: its main loop, I/O threads, vhost and block workers
  kEverything  // and those of the programs that libvirt started for it
};

class VmSink {
 public:
  virtual ~VmSink() = default;
  // What is wanted of a VM: before its first vCPU is told, and whenever it changes.
  virtual void OnSettings(const Vm&, const VmSettings&) {}
  // A vCPU thread that was not there before. Told once for each thread.
  virtual void OnVcpu(const Vm& vm, const VcpuThread& thread) = 0;
  // A vCPU thread has ended while its VM lives on (unplugged).
  virtual void OnVcpuGone(const Vm& vm, const VcpuThread& thread) = 0;
  // A helper that was not there before, or that has become an I/O thread; never before the VM's
  // first vCPU. Its end is not told.
  virtual void OnHelper(const Vm&, const HelperThread&) {}
  // The VM's process has ended; its vCPUs are not reported one by one. Comes before the first vCPU
  // of a new process of the same VM.
  virtual void OnVmGone(const Vm& vm) = 0;
  // The time to try again what could not be done before: comes every other second or so.
  virtual void OnPause() {}
  // Something that the operator should read; one line.
  virtual void OnNotice(const std::string& text) = 0;
};

class VmSource {
 public:
  // How often it calls VmSink::OnPause().
  static constexpr std::chrono::seconds kPause{2};

  virtual ~VmSource() = default;
  // FailedPrecondition: vCPUs cannot be watched here; says what to do. A monitor that does not
  // answer is a notice, not an error: it may come, and its VMs may run without it. The sink must
  // live until Stop().
  virtual absl::Status Start(VmSink& sink) = 0;
  virtual void Stop() = 0;
};

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_VM_SOURCE_H_
