// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/vm_keeper.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "kernel/bpf/threads_by_policy.h"

namespace corral {
namespace {

constexpr int kDefaultWeight = 100;

std::string Describe(const Vm& vm, const VcpuThread& thread) {
  return absl::StrCat("vCPU ", thread.vcpu, " of ", vm.name, " (thread ", thread.tid, ")");
}

}  // namespace

absl::StatusOr<DomainKey> KeyOfUuid(absl::string_view uuid) {
  const std::string hex = absl::StrReplaceAll(uuid, {{"-", ""}});
  DomainKey key;
  if (hex.size() != 2 * key.size() || !std::all_of(hex.begin(), hex.end(), absl::ascii_isxdigit)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", uuid, "\" is not a UUID"));
  }
  const std::string bytes = absl::HexStringToBytes(hex);
  memcpy(key.data(), bytes.data(), key.size());
  return key;
}

absl::StatusOr<DomainId> VmKeeper::DomainOf(const Vm& vm) {
  const auto known = domains_.find(vm.uuid);
  if (known != domains_.end()) return known->second;
  const absl::StatusOr<DomainKey> key = KeyOfUuid(vm.uuid);
  if (!key.ok()) return key.status();
  const absl::StatusOr<DomainId> domain = kernel_.CreateDomain(place_.enclave, *key, vm.name);
  if (!domain.ok()) return domain.status();
  domains_[vm.uuid] = *domain;
  leftovers_.erase(*domain);  // the VM was started again
  return *domain;
}

void VmKeeper::OnVcpu(const Vm& vm, const VcpuThread& thread) {
  DestroyLeftovers();
  const absl::StatusOr<DomainId> domain = DomainOf(vm);
  absl::Status status = domain.status();
  if (status.ok())
    status = kernel_.AttachTask(thread.tid, *domain, thread.vcpu, kDefaultWeight).status();
  if (status.ok() && place_.confinement) status = place_.confinement->Free(thread.tid);
  if (absl::IsNotFound(status)) return;  // it ended before we came; the source will say so
  if (!status.ok()) {
    log_(absl::StrCat("UNPROTECTED: ", Describe(vm, thread), ": ", status.message()));
    return;
  }
  const std::string delay =
      thread.entered == Time{}
          ? "found by a scan"
          : absl::StrCat((kernel_.Now() - thread.entered) / std::chrono::microseconds(1),
                         " us after it became one");
  log_(absl::StrCat("attached ", Describe(vm, thread), ", ", delay));
}

void VmKeeper::OnHelper(const Vm& vm, const HelperThread& helper) {
  const bool isolated = place_.isolate == VmThreads::kEverything ||
                        (place_.isolate == VmThreads::kProcess && helper.process == vm.pid);
  if (isolated) {
    AttachHelper(vm, helper);
  } else if (place_.confinement) {
    ConfineHelper(vm, helper);
  }
}

void VmKeeper::ConfineHelper(const Vm& vm, const HelperThread& helper) {
  const absl::StatusOr<bool> confined = place_.confinement->Confine(helper.process, helper.tid);
  if (absl::IsNotFound(confined.status())) return;  // it ended before we came
  const std::string what = absl::StrCat("thread ", helper.tid, " of ", vm.name);
  if (!confined.ok()) {
    log_(absl::StrCat(what, ", which is no vCPU: ", confined.status().message()));
  } else if (*confined) {
    log_(absl::StrCat("bound ", what, ", which is no vCPU, to the housekeeping CPUs"));
  }
}

void VmKeeper::AttachHelper(const Vm& vm, const HelperThread& helper) {
  // Made by a thread of the class, it belongs to its domain since its first instruction.
  const bool born_inside = PolicyOf(helper.tid) == kSchedExtPolicy;
  const absl::StatusOr<DomainId> domain = DomainOf(vm);
  absl::Status status = domain.status();
  if (status.ok())
    status = kernel_.AttachTask(helper.tid, *domain, GHOST_NO_VCPU, kDefaultWeight).status();
  if (absl::IsNotFound(status)) return;  // it ended before we came
  const std::string what = absl::StrCat("thread ", helper.tid, " of ", vm.name);
  if (!status.ok()) {
    log_(absl::StrCat("UNPROTECTED: ", what, ", which is no vCPU: ", status.message()));
  } else if (!born_inside) {
    log_(absl::StrCat("attached ", what, ", which is no vCPU"));
  }
}

void VmKeeper::OnVcpuGone(const Vm& vm, const VcpuThread& thread) {
  log_(absl::StrCat(Describe(vm, thread), " has ended"));
}

void VmKeeper::OnVmGone(const Vm& vm) {
  log_(absl::StrCat("VM ", vm.name, " has ended"));
  const auto known = domains_.find(vm.uuid);
  if (known == domains_.end()) return;
  leftovers_.insert(known->second);
  domains_.erase(known);
  DestroyLeftovers();
}

void VmKeeper::DestroyLeftovers() {
  for (auto domain = leftovers_.begin(); domain != leftovers_.end();) {
    const absl::Status status = kernel_.DestroyDomain(*domain);
    domain = status.ok() || absl::IsNotFound(status) ? leftovers_.erase(domain) : std::next(domain);
  }
}

}  // namespace corral
