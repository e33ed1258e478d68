// SPDX-License-Identifier: Apache-2.0
#include "tests/libvirt/recording_sink.h"

#include <time.h>

#include <algorithm>

namespace corral {
namespace {

Time Now() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return Time(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

}  // namespace

void RecordingSink::OnSettings(const Vm& vm, const VmSettings& settings) {
  const std::lock_guard<std::mutex> lock(mutex_);
  settings_[vm.name].push_back(settings);
  changed_.notify_all();
}

void RecordingSink::OnVcpu(const Vm& vm, const VcpuThread& thread) {
  const Time told = Now();
  const uint64_t ran = run_time(vm.pid, thread.tid);
  const std::lock_guard<std::mutex> lock(mutex_);
  vcpus_.push_back({.vm = vm, .thread = thread, .told = told, .run_time_ns = ran});
  changed_.notify_all();
}

void RecordingSink::OnVcpuGone(const Vm&, const VcpuThread& thread) {
  const std::lock_guard<std::mutex> lock(mutex_);
  vcpus_gone_.push_back(thread);
  changed_.notify_all();
}

void RecordingSink::OnHelper(const Vm&, const HelperThread& helper) {
  const std::lock_guard<std::mutex> lock(mutex_);
  helpers_.push_back(helper.tid);
  changed_.notify_all();
}

void RecordingSink::OnVmGone(const Vm& vm) {
  const std::lock_guard<std::mutex> lock(mutex_);
  vms_gone_.push_back(vm.name);
  changed_.notify_all();
}

void RecordingSink::OnNotice(const std::string& text) {
  const std::lock_guard<std::mutex> lock(mutex_);
  notices_.push_back(text);
  changed_.notify_all();
}

std::vector<RecordingSink::Vcpu> RecordingSink::VcpusOf(const std::string& name) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<Vcpu> found;
  for (const Vcpu& vcpu : vcpus_) {
    if (vcpu.vm.name == name) found.push_back(vcpu);
  }
  std::sort(found.begin(), found.end(),
            [](const Vcpu& a, const Vcpu& b) { return a.thread.vcpu < b.thread.vcpu; });
  return found;
}

size_t RecordingSink::settings_told(const std::string& name) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto told = settings_.find(name);
  return told == settings_.end() ? 0 : told->second.size();
}

VmSettings RecordingSink::SettingsOf(const std::string& name) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto told = settings_.find(name);
  return told == settings_.end() ? VmSettings() : told->second.back();
}

size_t RecordingSink::vcpus() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return vcpus_.size();
}

size_t RecordingSink::vcpus_gone() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return vcpus_gone_.size();
}

std::vector<pid_t> RecordingSink::helpers() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return helpers_;
}

std::vector<std::string> RecordingSink::vms_gone() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return vms_gone_;
}

std::vector<std::string> RecordingSink::notices() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return notices_;
}

bool RecordingSink::HasNotice(const std::string& part) const {
  const std::vector<std::string> all = notices();
  return std::any_of(all.begin(), all.end(),
                     [&](const std::string& n) { return n.find(part) != std::string::npos; });
}

}  // namespace corral
