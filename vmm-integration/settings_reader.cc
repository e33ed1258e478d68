// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/settings_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace corral {

void SettingsReader::Read(const Vm& vm) {
  const auto [told, first] = told_.try_emplace(vm.pid);
  Told& last = told->second;
  if (first) last.settings = DefaultSettings(vm.uuid, vm.name);
  const StatusStamp stamp = StampOf(vm.name, root_);
  CgroupTuning tuning = CgroupTuningOf(vm.pid, root_);
  if (stamp == StatusStamp{} || (stamp == last.stamp && tuning == last.tuning)) {
    // libvirt writes it down before a vCPU runs; until then nothing is wanted of the VM.
    if (first) sink_.OnSettings(vm, last.settings);
    return;
  }
  last.stamp = stamp;
  last.tuning = std::move(tuning);
  absl::StatusOr<DomainXml> xml = ReadStatus(vm.name, root_);
  std::string why = xml.ok() ? "" : std::string(xml.status().message());
  if (xml.ok() && xml->uuid != vm.uuid) why = absl::StrCat("it is about ", xml->uuid);
  if (!why.empty() && why != last.unreadable) {
    sink_.OnNotice(absl::StrCat("VM ", vm.name, ": its settings cannot be read (", why,
                                "); what was in force stays"));
  }
  last.unreadable = why;
  if (why.empty()) Overrule(last.tuning, *xml);
  VmSettings settings = why.empty() ? SettingsOf(*xml, rules_) : last.settings;
  std::swap(settings, last.settings);
  if (!first && last.settings == settings) return;
  if (last.settings.problems != settings.problems) {
    for (const std::string& problem : last.settings.problems) sink_.OnNotice(problem);
  }
  sink_.OnSettings(vm, last.settings);
}

void SettingsReader::ForgetIf(const std::function<bool(pid_t pid)>& gone) {
  std::erase_if(told_, [&](const auto& told) { return gone(told.first); });
}

}  // namespace corral
