// SPDX-License-Identifier: Apache-2.0
// libvirt's VMs as a VmSource: the kernel says when a thread becomes a vCPU, /proc whose it is,
// libvirt's records which VM that is and what is wanted of it, and libvirt itself when to look
// again.
//
// A vCPU is reported when it enters its vcpuN cgroup, before QEMU is told to continue, and if so
// asked for its VM is stopped until the sink has returned; settings when libvirt writes them down.
// Soon after a report the VM that it is about is looked at again. A scan of all of them at the
// start, after each event of libvirt, after a lost report and now and then (scan_pace.h) finds what
// reports missed, and what has ended. All of it works while libvirt's daemon is away.
#ifndef CORRAL_VMM_INTEGRATION_LIBVIRT_SOURCE_H_
#define CORRAL_VMM_INTEGRATION_LIBVIRT_SOURCE_H_

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "kernel/fd.h"
#include "vmm-integration/cgroup_watcher.h"
#include "vmm-integration/known_vms.h"
#include "vmm-integration/libvirt_connection.h"
#include "vmm-integration/libvirt_records.h"
#include "vmm-integration/scan_pace.h"
#include "vmm-integration/settings_reader.h"
#include "vmm-integration/status_watch.h"
#include "vmm-integration/vm_source.h"

namespace corral {

struct LibvirtSourceOptions {
  std::vector<std::string> uris;  // of libvirt's system daemons, for their events
  VmThreads which = VmThreads::kVcpus;
  TrustRules trust;
  // Where in bpffs the record is of VMs that are held until their vCPUs have been told (HeldVms);
  // "": none is held.
  std::string held_pin;
  // What tests exchange.
  std::string root;           // of /proc, /sys and /run
  bool watch_cgroups = true;  // false: scans only; needs no privilege
};

class LibvirtSource final : public VmSource {
 public:
  // How long libvirt may call a VM running until the lack of vCPU threads is told.
  static constexpr std::chrono::seconds kUnseenPatience{5};

  explicit LibvirtSource(LibvirtSourceOptions options) : options_(std::move(options)) {}
  ~LibvirtSource() override { Stop(); }

  absl::Status Start(VmSink& sink) override;
  void Stop() override;

 private:
  using Clock = std::chrono::steady_clock;
  // What the connection's thread leaves for ours.
  struct Inbox {
    std::vector<std::string> notices;
    std::map<std::string, std::map<std::string, std::string>> domains;  // by URI
    bool changed = false;
  };

  void Run();
  void Post(const std::function<void(Inbox&)>& change);
  // Returns whether it is time to look again.
  bool ReadInbox();
  void TakeUpEntries();
  // False: it is not known yet which VM that is.
  bool OnEntry(const VcpuCgroupEntry& entry);
  void Release(const VcpuCgroupEntry& entry);
  void Rescan();
  void LookSoon(pid_t pid, std::chrono::milliseconds in);
  void LookAgain();
  void LookAt(const PidRecord& record);
  void TellUnseen();
  KnownVm* Add(const Vm& vm);
  std::string UuidOf(const std::string& name) const;
  void OnStatusWritten(const std::string& name);
  void AddThread(KnownVm& vm, pid_t tid, int vcpu, Time entered);
  void AddHelpers(KnownVm& vm);

  const LibvirtSourceOptions options_;
  VmSink* sink_ = nullptr;
  std::unique_ptr<CgroupWatcher> watcher_;
  std::unique_ptr<StatusWatch> status_watch_;
  std::vector<std::unique_ptr<LibvirtConnection>> connections_;

  std::optional<KnownVms> vms_;
  std::optional<SettingsReader> settings_;
  // That libvirt says run, by URI: UUID by name.
  std::map<std::string, std::map<std::string, std::string>> domains_;
  std::map<std::string, Clock::time_point> unseen_;  // of those, the ones without vCPU: since when
  std::vector<VcpuCgroupEntry> unknown_;             // whose VM is looked for once more
  uint64_t lost_ = 0;
  std::set<pid_t> soon_;  // that a report was about, to be looked at at next_look_
  Clock::time_point next_look_ = Clock::time_point::max();
  Clock::time_point next_pause_{};
  ScanPace pace_;

  Fd wake_;
  std::mutex inbox_mutex_;
  Inbox inbox_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_LIBVIRT_SOURCE_H_
