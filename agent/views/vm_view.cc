// SPDX-License-Identifier: Apache-2.0
#include "agent/views/vm_view.h"

#include <sched.h>

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "agent/runtime/status_word.h"
#include "agent/views/protection.h"
#include "agent/views/vm_attributes.h"
#include "kernel/text_field.h"
#include "vmm-integration/libvirt_cgroups.h"
#include "vmm-integration/libvirt_records.h"
#include "vmm-integration/qemu_process.h"

namespace corral {
namespace {

using nlohmann::json;

// Slots of the class, by process.
using SlotsByProcess = std::multimap<pid_t, uint32_t>;

SlotsByProcess Slots(const ControlKernel& kernel) {
  SlotsByProcess slots;
  for (uint32_t slot = 0; slot < kernel.status_words().size(); ++slot) {
    const ghost_status_word& word = kernel.status_words()[slot];
    if (word.gtid != 0) slots.emplace(static_cast<pid_t>(word.tgid), slot);
  }
  return slots;
}

VcpuView ViewVcpu(const ControlKernel& kernel, uint32_t slot) {
  const ghost_status_word word = kernel.status_words()[slot];
  return {.vcpu = static_cast<int>(word.vcpu),
          .tid = static_cast<pid_t>(word.tid),
          .attached = true,
          .unprotected = WhyUnprotected(kernel, slot),
          .domain = word.domain,
          .trust = std::string(TextOf(kernel.domains()[word.domain].name)),
          .attributes = AttributesOf(word),
          .granted = FromNs(word.granted_ns),
          .refused = WhyNotPromised(kernel, slot),
          .affinity = AffinityOf(kernel, slot),
          .cpu = word.cpu,
          .runtime = ReadRuntime(word, kernel.Now())};
}

std::string WhyNotAttached(pid_t tid) {
  const int policy = sched_getscheduler(tid);
  if (policy == SCHED_FIFO || policy == SCHED_RR || policy == SCHED_DEADLINE)
    return "it has a real-time policy, which the class cannot isolate; take <vcpusched> out";
  return "it is not in the class; corrald's log says why";
}

// What the class has of the process, and takes it out of `slots`.
void AddTasks(const ControlKernel& kernel, VmView& vm, SlotsByProcess& slots) {
  const auto [begin, end] = slots.equal_range(vm.pid);
  for (auto it = begin; it != end; ++it) {
    const ghost_status_word& word = kernel.status_words()[it->second];
    // A thread that is about to change its domain has two; the one it still is in counts.
    const bool twice = std::any_of(vm.vcpus.begin(), vm.vcpus.end(), [&](const VcpuView& v) {
      return v.tid == static_cast<pid_t>(word.tid);
    });
    if (word.vcpu == GHOST_NO_VCPU) {
      ++vm.helpers;
    } else if (!twice || (word.flags & GHOST_SW_ANNOUNCED) != 0) {
      std::erase_if(vm.vcpus,
                    [&](const VcpuView& v) { return v.tid == static_cast<pid_t>(word.tid); });
      vm.vcpus.push_back(ViewVcpu(kernel, it->second));
    }
  }
  slots.erase(begin, end);
}

VmView ViewLibvirtVm(const ControlKernel& kernel, const PidRecord& record, const TrustRules& rules,
                     const std::string& root, SlotsByProcess& slots) {
  VmView vm{.name = record.name, .pid = record.pid};
  absl::StatusOr<DomainXml> xml = ReadStatus(record.name, root);
  if (xml.ok()) {
    Overrule(CgroupTuningOf(record.pid, root), *xml);
    const absl::StatusOr<DomainXml> defined = ReadDefinition(record.name, root);
    vm.uuid = xml->uuid;
    vm.settings = SettingsOf(*xml, rules, defined.ok() ? &*defined : nullptr);
    vm.problems = vm.settings->problems;
  } else {
    vm.problems.push_back(std::string(xml.status().message()));
  }
  AddTasks(kernel, vm, slots);
  for (const ScannedVcpu& vcpu : VcpuThreadsOf(record.pid, root)) {
    const bool attached = std::any_of(vm.vcpus.begin(), vm.vcpus.end(),
                                      [&](const VcpuView& v) { return v.tid == vcpu.tid; });
    if (attached) continue;
    vm.vcpus.push_back(
        {.vcpu = vcpu.vcpu, .tid = vcpu.tid, .unprotected = WhyNotAttached(vcpu.tid)});
  }
  return vm;
}

json ToJson(const TimeShare& share, Origin origin) {
  return {{"time_ns", share.time.count()},
          {"period_ns", share.period.count()},
          {"source", NameOf(origin)}};
}

json ToJson(const VmSettings& settings) {
  json reservations = json::object();
  for (const auto& [vcpu, share] : settings.reservation_of)
    reservations[absl::StrCat(vcpu)] = ToJson(share, Origin::kMetadata);
  const bool reserved = settings.reservation.time > Duration(0);
  return {
      {"trust_domain",
       {{"name", settings.trust.value.name},
        {"uuid", settings.trust.value.uuid},
        {"source", NameOf(settings.trust.origin)}}},
      {"weight", {{"value", settings.weight.value}, {"source", NameOf(settings.weight.origin)}}},
      {"cap", ToJson(settings.cap.value, settings.cap.origin)},
      {"vm_cap", ToJson(settings.vm_cap.value, settings.vm_cap.origin)},
      {"emulator_cap", ToJson(settings.emulator_cap.value, settings.emulator_cap.origin)},
      {"iothread_cap", ToJson(settings.iothread_cap.value, settings.iothread_cap.origin)},
      {"memory_node", {{"value", settings.node.value}, {"source", NameOf(settings.node.origin)}}},
      {"reservation",
       ToJson(settings.reservation, reserved ? Origin::kMetadata : Origin::kDefault)},
      {"reservation_of", reservations},
      {"metadata_ok", settings.metadata_ok}};
}

json ToJson(const VcpuView& v) {
  json vcpu = {
      {"vcpu", v.vcpu}, {"tid", v.tid}, {"attached", v.attached}, {"unprotected", v.unprotected}};
  if (!v.attached) return vcpu;
  vcpu.update({{"domain", v.domain},
               {"trust_domain", v.trust},
               {"weight", v.attributes.weight},
               {"budget_ns", v.attributes.budget.count()},
               {"period_ns", v.attributes.period.count()},
               {"granted_ns", v.granted.count()},
               {"refused", v.refused},
               {"cap_ns", v.attributes.cap.count()},
               {"cap_period_ns", v.attributes.cap_period.count()},
               {"cpus", v.affinity.Format()},
               {"cpu", v.cpu},
               {"runtime_ns", v.runtime.count()}});
  if (v.attributes.node != GHOST_NO_NODE) vcpu["memory_node"] = v.attributes.node;
  return vcpu;
}

}  // namespace

VmsView ViewVms(const ControlKernel& kernel, const TrustRules& rules, const std::string& root) {
  VmsView view;
  SlotsByProcess slots = Slots(kernel);
  for (const PidRecord& record : PidRecords(root)) {
    VmView vm = ViewLibvirtVm(kernel, record, rules, root, slots);
    // A record that a VM left behind when it died.
    if (!vm.vcpus.empty()) view.vms.push_back(std::move(vm));
  }
  while (!slots.empty()) {
    VmView vm{.pid = slots.begin()->first};
    AddTasks(kernel, vm, slots);
    if (vm.vcpus.empty()) continue;  // threads of an enclave without VMs
    vm.name = vm.vcpus.front().trust;
    view.vms.push_back(std::move(vm));
  }
  std::sort(view.vms.begin(), view.vms.end(),
            [](const VmView& a, const VmView& b) { return a.name < b.name; });
  for (VmView& vm : view.vms) {
    std::sort(vm.vcpus.begin(), vm.vcpus.end(),
              [](const VcpuView& a, const VcpuView& b) { return a.vcpu < b.vcpu; });
  }
  for (const PinConflict& conflict : FindPinConflicts(kernel))
    view.conflicts.push_back(Describe(kernel, conflict));
  return view;
}

json ToJson(const VmsView& view) {
  json vms = json::array();
  for (const VmView& vm : view.vms) {
    json one = {{"name", vm.name},
                {"uuid", vm.uuid},
                {"pid", vm.pid},
                {"problems", vm.problems},
                {"other_threads", vm.helpers},
                {"vcpus", json::array()}};
    if (vm.settings) one["settings"] = ToJson(*vm.settings);
    for (const VcpuView& vcpu : vm.vcpus) one["vcpus"].push_back(ToJson(vcpu));
    vms.push_back(std::move(one));
  }
  return {{"vms", vms}, {"conflicts", view.conflicts}};
}

}  // namespace corral
