// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/admission.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/check/finding.h"

namespace corral::ctl {
namespace {

constexpr absl::string_view kOrOpen = ", or write \"admission: open\"";

template <typename... Parts>
absl::Status Refused(const Parts&... parts) {
  return absl::FailedPreconditionError(absl::StrCat(parts...));
}

absl::Status CheckRealTime(const DomainXml& vm) {
  if (vm.real_time.empty()) return absl::OkStatus();
  CpuSet vcpus;
  for (const int vcpu : vm.real_time) vcpus.Insert(CpuId(vcpu));
  return Refused("vCPUs ", vcpus.Format(),
                 " are real-time (<vcpusched>), and the class does not take those in; take "
                 "<vcpusched> out with virsh edit",
                 kOrOpen);
}

absl::Status CheckPins(const DomainXml& vm, const std::string& enclave, const CpuSet& cpus) {
  int pinned = 0;
  for (const auto& [vcpu, pin] : vm.pins) {
    if (vcpu < 0 || vcpu >= vm.vcpus) continue;
    ++pinned;
    if (pin.Intersects(cpus)) continue;
    return Refused("vCPU ", vcpu, " is pinned to CPUs ", pin.Format(), ", and enclave ", enclave,
                   " has ", cpus.Format(), "; pin it to some of those with virsh vcpupin --config",
                   kOrOpen);
  }
  if (pinned == vm.vcpus || !vm.cpuset || vm.cpuset->Intersects(cpus)) return absl::OkStatus();
  return Refused("its vCPUs may run on CPUs ", vm.cpuset->Format(),
                 " (<vcpu cpuset>), and enclave ", enclave, " has ", cpus.Format(),
                 "; write some of those with virsh edit", kOrOpen);
}

bool AnyHas(absl::Span<const ConfigText> texts, absl::string_view word) {
  return std::any_of(texts.begin(), texts.end(),
                     [&](const ConfigText& text) { return absl::StrContains(text.text, word); });
}

}  // namespace

absl::StatusOr<std::string> StrictEnclave(absl::Span<const ConfigText> texts,
                                          absl::Span<const PolicyOptions> policies) {
  const absl::StatusOr<Config> config = ParseConfig(texts, policies);
  if (!config.ok()) {
    if (!AnyHas(texts, "admission") || !AnyHas(texts, "strict")) return "";
    return Refused(texts.front().file,
                   " has errors, so it may ask for strict admission; correct what ",
                   "\"corralctl check\" finds");
  }
  if (config->mode != Mode::kEnforce) return "";
  const auto strict = std::find_if(
      config->enclaves.begin(), config->enclaves.end(),
      [](const EnclaveConfig& enclave) { return enclave.admission == Admission::kStrict; });
  return strict == config->enclaves.end() ? "" : strict->name;
}

absl::Status Admit(const AdmissionFacts& facts) {
  if (absl::IsPermissionDenied(facts.class_status)) {
    return Refused(
        "this libvirt is a user's own, which may not see whether it would be protected; ",
        "start it in qemu:///system", kOrOpen);
  }
  if (!facts.class_status.ok()) return facts.class_status;
  if (!facts.daemon_status.ok()) return facts.daemon_status;
  if (!facts.cpus) {
    return Refused("there is no enclave ", facts.enclave,
                   " in the class; restart corrald.service, whose log says why if none comes");
  }
  if (!facts.sched_core.empty() && facts.sched_core != "none") {
    return Refused("/etc/libvirt/qemu.conf gives VMs core-scheduling cookies (sched_core = \"",
                   facts.sched_core,
                   "\"), and the class does not take those in; set it to \"none\" and restart "
                   "libvirt's daemon",
                   kOrOpen);
  }
  if (!facts.vm.ok()) {
    return Refused("libvirt's description of it cannot be judged: ", facts.vm.status().message(),
                   "; correct it with virsh edit", kOrOpen);
  }
  if (const absl::Status status = CheckRealTime(*facts.vm); !status.ok()) return status;
  return CheckPins(*facts.vm, facts.enclave, *facts.cpus);
}

std::string RefusalLine(absl::string_view vm, const absl::Status& refusal) {
  return OneLine(absl::StrCat("corral: VM ", vm, " is not started: ", refusal.message()));
}

}  // namespace corral::ctl
