// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/vm_sources.h"

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/views/trust.h"
#include "kernel/bpf/class_files.h"
#include "vmm-integration/libvirt_source.h"
#include "vmm-integration/qemu_source.h"

namespace corral {
namespace {

class Observer final : public VmSink {
 public:
  explicit Observer(Logger& log) : log_(log) {}
  void OnVcpu(const Vm& vm, const VcpuThread& thread) override {
    log_(absl::StrCat("observed vCPU ", thread.vcpu, " of ", vm.name, " (thread ", thread.tid,
                      "); mode: enforce would attach it"));
  }
  void OnVcpuGone(const Vm&, const VcpuThread&) override {}
  void OnVmGone(const Vm& vm) override { log_(absl::StrCat("VM ", vm.name, " has ended")); }
  void OnNotice(const std::string& text) override { log_(text); }

 private:
  Logger& log_;
};

// Passes everything on, once at a time.
class OneAtATime final : public VmSink {
 public:
  explicit OneAtATime(VmSink& sink) : sink_(sink) {}
  void OnSettings(const Vm& vm, const VmSettings& settings) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    sink_.OnSettings(vm, settings);
  }
  void OnVcpu(const Vm& vm, const VcpuThread& thread) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    sink_.OnVcpu(vm, thread);
  }
  void OnVcpuGone(const Vm& vm, const VcpuThread& thread) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    sink_.OnVcpuGone(vm, thread);
  }
  void OnHelper(const Vm& vm, const HelperThread& helper) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    sink_.OnHelper(vm, helper);
  }
  void OnVmGone(const Vm& vm) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    sink_.OnVmGone(vm);
  }
  void OnPause() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    sink_.OnPause();
  }
  void OnNotice(const std::string& text) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    sink_.OnNotice(text);
  }

 private:
  VmSink& sink_;
  std::mutex mutex_;
};

class Sources final : public VmSource {
 public:
  explicit Sources(std::vector<std::unique_ptr<VmSource>> sources) : sources_(std::move(sources)) {}
  ~Sources() override { Stop(); }

  absl::Status Start(VmSink& sink) override {
    sink_ = std::make_unique<OneAtATime>(sink);
    for (const std::unique_ptr<VmSource>& source : sources_) {
      if (const absl::Status status = source->Start(*sink_); !status.ok()) return status;
    }
    return absl::OkStatus();
  }
  void Stop() override {
    for (const std::unique_ptr<VmSource>& source : sources_) source->Stop();
  }

 private:
  std::unique_ptr<VmSink> sink_;
  std::vector<std::unique_ptr<VmSource>> sources_;
};

// A session daemon's QEMUs have no cgroups of their own, and its records are its user's, who cannot
// be trusted with other users' time: they are found as plain QEMUs are, without settings.
bool IsSession(const std::string& uri) { return absl::StrContains(uri, "/session"); }

}  // namespace

const EnclaveConfig* EnclaveOfVms(const Config& config) {
  for (const EnclaveConfig& enclave : config.enclaves) {
    if (enclave.vms != Vms::kNone) return &enclave;
  }
  return nullptr;
}

VmThreads ThreadsToIsolate(Isolate isolate) {
  switch (isolate) {
    case Isolate::kVcpus:
      return VmThreads::kVcpus;
    case Isolate::kEmulator:
      return VmThreads::kProcess;
    case Isolate::kFull:
      return VmThreads::kEverything;
  }
  return VmThreads::kVcpus;
}

std::unique_ptr<VmSource> MakeVmSource(const Config& config) {
  const EnclaveConfig& enclave = *EnclaveOfVms(config);
  const VmThreads which =
      config.housekeeping.empty() ? ThreadsToIsolate(enclave.isolate) : VmThreads::kEverything;
  std::vector<std::unique_ptr<VmSource>> sources;
  bool plain = enclave.vms == Vms::kQemu;
  if (enclave.vms == Vms::kLibvirt) {
    LibvirtSourceOptions options = {.which = which, .trust = TrustRulesOf(config)};
    if (config.mode == Mode::kEnforce) options.held_pin = kHeldVmsPin;
    for (const std::string& uri : config.libvirt_uris) {
      if (IsSession(uri))
        plain = true;
      else
        options.uris.push_back(uri);
    }
    sources.push_back(std::make_unique<LibvirtSource>(std::move(options)));
  }
  if (plain) {
    sources.push_back(std::make_unique<QemuSource>(
        QemuSourceOptions{.which = which, .skip_system_libvirts = enclave.vms == Vms::kLibvirt}));
  }
  return std::make_unique<Sources>(std::move(sources));
}

std::unique_ptr<VmSink> MakeObserver(Logger& log) { return std::make_unique<Observer>(log); }

}  // namespace corral
