// SPDX-License-Identifier: Apache-2.0
// Every QEMU of the host as a VmSource, with no libvirt in reach: Proxmox, KubeVirt (whose libvirt
// lives in the pod), QEMUs started by hand. libvirt's own are found as well, but without what
// libvirt knows of them.
//
// A vCPU is told when its thread names itself, before it runs anything of the guest's; plain_qemu.h
// says whom that convinces. Settings are what the VM's cgroup says. It takes thread names: -name
// NAME,debug-threads=on, which all of these set, or QEMU 11. A scan at the start, after a lost
// report and now and then (scan_pace.h) finds what reports missed, what has ended, and QEMUs
// without thread names, which are a notice: /proc has no other mark of a vCPU, QEMU's monitor is
// its manager's, and debugfs knows KVM's vCPU threads only once they have run.
#ifndef CORRAL_VMM_INTEGRATION_QEMU_SOURCE_H_
#define CORRAL_VMM_INTEGRATION_QEMU_SOURCE_H_

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "kernel/fd.h"
#include "vmm-integration/cgroup_limits.h"
#include "vmm-integration/known_vms.h"
#include "vmm-integration/name_watcher.h"
#include "vmm-integration/plain_qemu.h"
#include "vmm-integration/scan_pace.h"
#include "vmm-integration/vm_source.h"

namespace corral {

struct QemuSourceOptions {
  // kEverything is the same as kProcess here: nobody says which other programs work for a VM.
  VmThreads which = VmThreads::kVcpus;
  // Those in the cgroups that libvirt's system daemon makes are left to its driver.
  bool skip_system_libvirts = false;
  // What tests exchange.
  std::string root;         // of /proc and /sys
  bool watch_names = true;  // false: scans only; needs no privilege
};

class QemuSource final : public VmSource {
 public:
  // How long a QEMU may be without a vCPU thread, but with nameless ones, until that is told.
  static constexpr std::chrono::seconds kNamelessPatience{5};

  explicit QemuSource(QemuSourceOptions options = {}) : options_(std::move(options)) {}
  ~QemuSource() override { Stop(); }

  absl::Status Start(VmSink& sink) override;
  void Stop() override;

 private:
  using Clock = std::chrono::steady_clock;
  struct Nameless {
    uint64_t start_time = 0;
    Clock::time_point since;
    bool told = false;
  };

  void Run();
  void DrainNames();
  void OnName(const VcpuName& name);
  void Rescan();
  void ScanProcess(pid_t pid, std::map<pid_t, Nameless>& nameless);
  KnownVm* FindOrAdd(pid_t pid);
  bool IsOurs(pid_t pid) const;
  // A name that no other VM has, so that nobody is taken for another in what operators read.
  std::string UniqueName(pid_t pid) const;
  void AddHelpers(KnownVm& vm, const QemuThreads& threads);
  Nameless LookAtNameless(pid_t pid, uint64_t start_time);
  void TellLimits(const Vm& vm);
  void LookAtLimits();

  const QemuSourceOptions options_;
  VmSink* sink_ = nullptr;
  BootId boot_;
  std::unique_ptr<NameWatcher> names_;
  std::optional<CgroupLimitsWatcher> groups_;

  std::optional<KnownVms> vms_;
  std::map<pid_t, Nameless> nameless_;
  std::set<pid_t> fresh_;  // processes with a new vCPU, whose helpers were not looked for yet
  std::map<std::string, CgroupLimits> limits_;  // that were told, by UUID
  uint64_t lost_ = 0;
  ScanPace pace_;
  Clock::time_point next_limits_{};
  Clock::time_point next_pause_{};

  Fd wake_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_QEMU_SOURCE_H_
