// SPDX-License-Identifier: Apache-2.0
// A VmSink that remembers, and lets a test wait for what it expects.
#ifndef CORRAL_TESTS_LIBVIRT_RECORDING_SINK_H_
#define CORRAL_TESTS_LIBVIRT_RECORDING_SINK_H_

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "vmm-integration/scan_pace.h"
#include "vmm-integration/vm_source.h"

namespace corral {

class RecordingSink final : public VmSink {
 public:
  static constexpr std::chrono::seconds kPatience{30};
  // For what only a scan finds: where it costs much, as in an emulated machine that is not alone,
  // the next one is far away.
  static constexpr std::chrono::seconds kByAScan = ScanPace::kLeastOften + kPatience;

  struct Vcpu {
    Vm vm;
    VcpuThread thread;
    Time told;                 // CLOCK_MONOTONIC
    uint64_t run_time_ns = 0;  // that the thread had had by then
  };

  // Called in OnVcpu, by the source's thread, before anything is remembered.
  std::function<uint64_t(pid_t pid, pid_t tid)> run_time = [](pid_t, pid_t) { return 0; };

  void OnSettings(const Vm& vm, const VmSettings& settings) override;
  void OnVcpu(const Vm& vm, const VcpuThread& thread) override;
  void OnVcpuGone(const Vm& vm, const VcpuThread& thread) override;
  void OnHelper(const Vm& vm, const HelperThread& helper) override;
  void OnVmGone(const Vm& vm) override;
  void OnNotice(const std::string& text) override;

  // All told so far.
  std::vector<Vcpu> VcpusOf(const std::string& name) const;
  // How often settings of this VM were told, and the last ones.
  size_t settings_told(const std::string& name) const;
  VmSettings SettingsOf(const std::string& name) const;
  size_t vcpus() const;
  size_t vcpus_gone() const;
  std::vector<pid_t> helpers() const;
  std::vector<std::string> vms_gone() const;
  std::vector<std::string> notices() const;
  bool HasNotice(const std::string& part) const;

  // False if it does not become true in time.
  template <typename Predicate>
  bool Await(Predicate predicate, std::chrono::milliseconds patience = kPatience) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!predicate()) {
      std::unique_lock<std::mutex> lock(mutex_);
      if (std::chrono::steady_clock::now() >= end) return false;
      changed_.wait_for(lock, std::chrono::milliseconds(50));
    }
    return true;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::vector<VmSettings>> settings_;  // by name
  std::vector<Vcpu> vcpus_;
  std::vector<VcpuThread> vcpus_gone_;
  std::vector<pid_t> helpers_;
  std::vector<std::string> vms_gone_;  // names
  std::vector<std::string> notices_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_LIBVIRT_RECORDING_SINK_H_
