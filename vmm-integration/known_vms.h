// SPDX-License-Identifier: Apache-2.0
// What a source has told its sink: each VM, each thread once, and whether they are still there.
//
// Ids of processes and threads are used again; what tells is the start time. Calls the sink from
// whoever calls it. Used from one thread at a time.
#ifndef CORRAL_VMM_INTEGRATION_KNOWN_VMS_H_
#define CORRAL_VMM_INTEGRATION_KNOWN_VMS_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "vmm-integration/vm_source.h"

namespace corral {

struct KnownVm {
  Vm vm;
  uint64_t start_time = 0;  // of the process
  std::map<pid_t, VcpuThread> threads;
  std::map<pid_t, HelperThread> helpers;
  // Of `threads` those that are not there any more, and since when; no end was told yet.
  std::map<pid_t, std::chrono::steady_clock::time_point> missed;
};

class KnownVms {
 public:
  // A process that is killed loses its threads one by one, and not at once. For a moment IsEnding()
  // does not know it.
  static constexpr std::chrono::milliseconds kDying{500};

  // The sink must outlive this; `root` as in qemu_process.h.
  KnownVms(VmSink& sink, std::string root) : sink_(sink), root_(std::move(root)) {}

  // The VM of a process that is known already and still the same. Tells the end of one that is not.
  KnownVm* Find(pid_t pid);
  // One that Find does not know. Tells the end of a former one with the same UUID.
  KnownVm& Add(const Vm& vm, uint64_t start_time);
  // Tells a vCPU unless it is known.
  void AddVcpu(KnownVm& vm, const VcpuThread& thread);
  // Tells those that are not known yet, or not as what they are, and are no vCPUs. `helpers` are
  // all that there are now.
  void SetHelpers(KnownVm& vm, const std::vector<HelperThread>& helpers);
  // Tells which VMs have ended.
  void ForgetDeadVms();
  // Tells which vCPUs of a VM have ended while it goes on: those that were missed kDying ago or
  // earlier, unless the VM is ending. True: some are missed since then, so look again.
  bool ForgetDeadVcpus(KnownVm& vm);

  const std::map<pid_t, KnownVm>& all() const { return vms_; }  // by process

 private:
  void Remove(std::map<pid_t, KnownVm>::iterator vm);

  VmSink& sink_;
  const std::string root_;
  std::map<pid_t, KnownVm> vms_;
};

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_KNOWN_VMS_H_
