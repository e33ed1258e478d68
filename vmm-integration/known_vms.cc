// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/known_vms.h"

#include <algorithm>

#include "vmm-integration/qemu_process.h"

namespace corral {

KnownVm* KnownVms::Find(pid_t pid) {
  const auto known = vms_.find(pid);
  if (known == vms_.end()) return nullptr;
  if (StartTime(pid, pid, root_) == known->second.start_time) return &known->second;
  Remove(known);  // another process got its id
  return nullptr;
}

KnownVm& KnownVms::Add(const Vm& vm, uint64_t start_time) {
  // Started again before its end was noticed: a UUID runs only once.
  const auto former = std::find_if(
      vms_.begin(), vms_.end(), [&](const auto& known) { return known.second.vm.uuid == vm.uuid; });
  if (former != vms_.end()) Remove(former);
  return vms_.insert_or_assign(vm.pid, KnownVm{.vm = vm, .start_time = start_time}).first->second;
}

void KnownVms::Remove(std::map<pid_t, KnownVm>::iterator vm) {
  sink_.OnVmGone(vm->second.vm);
  vms_.erase(vm);
}

void KnownVms::AddVcpu(KnownVm& vm, const VcpuThread& thread) {
  const auto known = vm.threads.find(thread.tid);
  if (known != vm.threads.end()) {
    if (known->second.start_time == thread.start_time) return;
    sink_.OnVcpuGone(vm.vm, known->second);
    vm.missed.erase(thread.tid);
  }
  vm.threads[thread.tid] = thread;
  sink_.OnVcpu(vm.vm, thread);
}

void KnownVms::SetHelpers(KnownVm& vm, const std::vector<HelperThread>& helpers) {
  std::map<pid_t, HelperThread> there;
  for (const HelperThread& helper : helpers) {
    if (vm.threads.contains(helper.tid)) continue;
    const auto known = vm.helpers.find(helper.tid);
    if (known == vm.helpers.end() || known->second.start_time != helper.start_time ||
        known->second.iothread != helper.iothread) {
      sink_.OnHelper(vm.vm, helper);
    }
    there[helper.tid] = helper;
  }
  vm.helpers = std::move(there);
}

void KnownVms::ForgetDeadVms() {
  for (auto vm = vms_.begin(); vm != vms_.end();) {
    const auto next = std::next(vm);
    if (StartTime(vm->first, vm->first, root_) != vm->second.start_time) Remove(vm);
    vm = next;
  }
}

bool KnownVms::ForgetDeadVcpus(KnownVm& vm) {
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(vm.threads, [&](const auto& thread) {
    if (StartTime(vm.vm.pid, thread.first, root_) == thread.second.start_time) return false;
    const auto since = vm.missed.try_emplace(thread.first, now).first;
    if (now - since->second < kDying || IsEnding(vm.vm.pid, root_)) return false;
    vm.missed.erase(since);
    sink_.OnVcpuGone(vm.vm, thread.second);
    return true;
  });
  return !vm.missed.empty();
}

}  // namespace corral
