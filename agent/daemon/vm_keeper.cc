// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/vm_keeper.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "agent/views/vm_attributes.h"
#include "kernel/bpf/threads_by_policy.h"

namespace corral {
namespace {

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

VmKeeper::KnownVm& VmKeeper::Known(const Vm& vm) {
  const auto [known, fresh] = vms_.try_emplace(vm.uuid);
  if (fresh) known->second.settings = DefaultSettings(vm.uuid, vm.name);
  known->second.vm = vm;
  return known->second;
}

// A VM whose metadata cannot be read stays in the domain that it is in.
absl::StatusOr<DomainId> VmKeeper::DomainOf(KnownVm& known) {
  const Setting<TrustDomain>& trust = known.settings.trust;
  const bool doubtful = !known.settings.metadata_ok && trust.origin != Origin::kRule;
  if (doubtful && known.domain != DomainId(0)) return known.domain;
  const absl::StatusOr<DomainKey> key = KeyOfUuid(trust.value.uuid);
  if (!key.ok()) return key.status();
  absl::StatusOr<DomainId> domain = kernel_.CreateDomain(place_.enclave, *key, trust.value.name);
  if (domain.ok()) known.domain = *domain;
  return domain;
}

void VmKeeper::OnSettings(const Vm& vm, const VmSettings& settings) {
  KnownVm& known = Known(vm);
  known.settings = settings;
  Apply(known);
}

void VmKeeper::Apply(KnownVm& known) {
  known.again = false;
  std::set<std::string> changes;
  std::map<uint32_t, std::vector<ghost_status_word>> threads;
  for (const ghost_status_word& word : kernel_.status_words()) {
    if (word.gtid == 0 || word.tgid != static_cast<uint32_t>(known.vm.pid) ||
        word.enclave != place_.enclave.value()) {
      continue;
    }
    // A daemon that has just come finds it where a former one put it.
    if (known.domain == DomainId(0)) known.domain = DomainId(word.domain);
    Update(known, word, changes);
    threads[word.tid].push_back(word);
  }
  for (const auto& [tid, words] : threads) Relabel(known, words);
  for (const std::string& change : changes) log_(absl::StrCat("VM ", known.vm.name, ": ", change));
}

void VmKeeper::Update(KnownVm& known, const ghost_status_word& word,
                      std::set<std::string>& changes) {
  const TaskRole role = {.vcpu = word.vcpu,
                         .iothread = known.iothreads.contains(static_cast<pid_t>(word.tid))};
  const TaskAttributes before = AttributesOf(word);
  const TaskAttributes wanted =
      AttributesFor(known.settings, role, static_cast<int>(known.vcpus.size()), before);
  if (before == wanted) return;
  const absl::Status status = kernel_.UpdateTask(Gtid(word.gtid), wanted);
  if (absl::IsNotFound(status)) return;  // it ended meanwhile
  const std::string change = DescribeChange(before, wanted, known.settings);
  const std::string who = role.vcpu == GHOST_NO_VCPU ? "other threads: " : "";
  changes.insert(absl::StrCat(who, status.ok() ? change : status.message()));
}

void VmKeeper::Relabel(KnownVm& known, const std::vector<ghost_status_word>& thread) {
  const absl::StatusOr<DomainId> domain = DomainOf(known);
  if (!domain.ok())
    return log_(absl::StrCat("VM ", known.vm.name, ": ", domain.status().message()));
  const auto in_it = [&](const ghost_status_word& word) {
    return DomainId(word.domain) == *domain;
  };
  const bool is_or_comes = std::any_of(thread.begin(), thread.end(), in_it);
  if (is_or_comes && thread.size() == 1) return;
  for (const ghost_status_word& word : thread) {
    // Of two words, the class knows which one the thread has and which one it waits for: it is
    // asked to leave the thread where it is, if that is right, and answers NotFound for the other.
    if (is_or_comes && !in_it(word)) continue;
    const absl::StatusOr<Gtid> moved = kernel_.RelabelTask(Gtid(word.gtid), *domain);
    if (absl::IsNotFound(moved.status())) continue;
    known.again = known.again || !moved.ok();
    if (moved.ok() && !is_or_comes) {
      log_(absl::StrCat("VM ", known.vm.name, ": thread ", word.tid, " goes to trust domain ",
                        known.settings.trust.value.name, " (", NameOf(known.settings.trust.origin),
                        ")"));
    } else if (!moved.ok() && !absl::IsFailedPrecondition(moved.status())) {
      log_(absl::StrCat("VM ", known.vm.name, ": ", moved.status().message()));
    }
  }
}

absl::StatusOr<Gtid> VmKeeper::Attach(KnownVm& known, pid_t tid, int vcpu) {
  const absl::StatusOr<DomainId> domain = DomainOf(known);
  if (!domain.ok()) return domain.status();
  absl::StatusOr<Gtid> task =
      kernel_.AttachTask(tid, *domain, vcpu, static_cast<int>(known.settings.weight.value));
  if (task.ok()) {
    const uint32_t slot = GHOST_GTID_SLOT(task->value());
    std::set<std::string> changes;  // no news: that is what it begins with
    if (slot < kernel_.status_words().size()) Update(known, kernel_.status_words()[slot], changes);
    return task;
  }
  // A former daemon may have attached it to what was its domain then.
  for (const ghost_status_word& word : kernel_.status_words()) {
    if (word.gtid == 0 || word.tid != static_cast<uint32_t>(tid) ||
        word.tgid != static_cast<uint32_t>(known.vm.pid)) {
      continue;
    }
    std::set<std::string> changes;
    Update(known, word, changes);
    Relabel(known, {word});
    return Gtid(word.gtid);
  }
  return task;
}

void VmKeeper::OnVcpu(const Vm& vm, const VcpuThread& thread) {
  KnownVm& known = Known(vm);
  known.vcpus[thread.tid] = thread.vcpu;
  known.helpers.erase(thread.tid);
  absl::Status status = Attach(known, thread.tid, thread.vcpu).status();
  DealOut(known);
  if (status.ok() && place_.confinement) status = place_.confinement->Free(thread.tid);
  if (absl::IsNotFound(status)) return;  // it ended before we came; the source will say so
  if (!status.ok()) {
    known.refused.insert(thread.tid);
    log_({Event::kUnprotected,
          absl::StrCat("UNPROTECTED: ", Describe(vm, thread), ": ", status.message()),
          {{"VM", vm.name}, {"UUID", vm.uuid}, {"VCPU", absl::StrCat(thread.vcpu)}}});
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
    AttachHelper(Known(vm), helper);
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

void VmKeeper::AttachHelper(KnownVm& known, const HelperThread& helper) {
  // Made by a thread of the class, it belongs to its domain since its first instruction.
  const bool born_inside = PolicyOf(helper.tid) == kSchedExtPolicy;
  if (helper.iothread) known.iothreads.insert(helper.tid);
  known.helpers[helper.tid] = helper.process;
  const absl::Status status = Attach(known, helper.tid, GHOST_NO_VCPU).status();
  if (absl::IsNotFound(status)) return;  // it ended before we came
  const std::string what = absl::StrCat("thread ", helper.tid, " of ", known.vm.name);
  if (!status.ok()) {
    known.refused.insert(helper.tid);
    log_({Event::kUnprotected,
          absl::StrCat("UNPROTECTED: ", what, ", which is no vCPU: ", status.message()),
          {{"VM", known.vm.name}, {"UUID", known.vm.uuid}}});
  } else if (!born_inside) {
    log_(absl::StrCat("attached ", what, ", which is no vCPU"));
  }
}

void VmKeeper::OnVcpuGone(const Vm& vm, const VcpuThread& thread) {
  log_(absl::StrCat(Describe(vm, thread), " has ended"));
  KnownVm& known = Known(vm);
  known.vcpus.erase(thread.tid);
  known.refused.erase(thread.tid);
  DealOut(known);
}

// What the VM has as a whole, once it has more or fewer vCPUs.
void VmKeeper::DealOut(KnownVm& known) {
  if (known.settings.vm_cap.value.time > Duration(0)) Apply(known);
}

void VmKeeper::OnVmGone(const Vm& vm) {
  log_(absl::StrCat("VM ", vm.name, " has ended"));
  vms_.erase(vm.uuid);
  DestroyLeftovers();
}

void VmKeeper::OnPause() {
  DestroyLeftovers();
  for (auto& [uuid, known] : vms_) {
    if (known.again) Apply(known);
  }
  TakeBack();
}

void VmKeeper::TakeBack() {
  std::set<pid_t> inside;
  for (const ghost_status_word& word : kernel_.status_words()) {
    if (word.gtid != 0) inside.insert(static_cast<pid_t>(word.tid));
  }
  for (auto& [uuid, known] : vms_) {
    for (const auto& [tid, vcpu] : known.vcpus) {
      if (!inside.contains(tid)) TakeBack(known, known.vm.pid, tid, vcpu);
    }
    std::erase_if(known.helpers, [&, &vm = known](const auto& helper) {
      const auto& [tid, process] = helper;
      return !inside.contains(tid) && !TakeBack(vm, process, tid, GHOST_NO_VCPU);
    });
  }
}

// False: it has ended. Then its id may be that of somebody else's thread by now.
bool VmKeeper::TakeBack(KnownVm& known, pid_t process, pid_t tid, int vcpu) {
  const absl::StatusOr<Gtid> task = Attach(known, tid, vcpu);
  if (absl::IsNotFound(task.status())) return false;
  if (task.ok() && kernel_.status_words()[GHOST_GTID_SLOT(task->value())].tgid !=
                       static_cast<uint32_t>(process)) {
    kernel_.DetachTask(*task).IgnoreError();
    return false;
  }
  // Once, not at each pause.
  if (!task.ok() && !known.refused.insert(tid).second) return true;
  if (task.ok()) known.refused.erase(tid);
  const std::string what = vcpu == static_cast<int>(GHOST_NO_VCPU)
                               ? absl::StrCat("thread ", tid, " of ", known.vm.name)
                               : Describe(known.vm, {.tid = tid, .vcpu = vcpu});
  log_({Event::kUnprotected,
        absl::StrCat("UNPROTECTED: ", what, " was out of the class",
                     task.ok() ? " for a while; it is in it again"
                               : absl::StrCat(": ", task.status().message())),
        {{"VM", known.vm.name}, {"UUID", known.vm.uuid}}});
  return true;
}

void VmKeeper::DestroyLeftovers() {
  for (uint32_t id = GHOST_DOMAIN_FIRST; id < kernel_.domains().size(); ++id) {
    const ghost_domain& domain = kernel_.domains()[id];
    const bool ours = domain.in_use != 0 && domain.enclave == place_.enclave.value();
    if (!ours || domain.nr_tasks != 0) continue;
    const bool known = std::any_of(
        vms_.begin(), vms_.end(), [&](const auto& vm) { return vm.second.domain == DomainId(id); });
    // One that a core still names is tried again at the next pause.
    if (!known) kernel_.DestroyDomain(DomainId(id)).IgnoreError();
  }
}

}  // namespace corral
