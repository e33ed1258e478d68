// SPDX-License-Identifier: Apache-2.0
// libFuzzer on libvirt's description of a VM, with Corral's metadata in it, alone or in a status
// file: what the hook gets from whoever defines a VM, and what corrald reads of each that runs.
// Whatever the bytes are: a domain, or an error; and what Corral makes of a domain is something
// that the class can be told.
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "tests/fuzz/expect.h"
#include "vmm-integration/domain_xml.h"
#include "vmm-integration/vm_settings.h"

namespace corral {
namespace {

void CheckShare(const TimeShare& share, const char* what) {
  Expect(share.time >= Duration(0) && share.period >= Duration(0), what);
  Expect(share.time == Duration(0) || share.period > Duration(0), what);
}

void CheckSettings(const VmSettings& settings) {
  Expect(settings.weight.value >= 1 && settings.weight.value <= 262144, "weight");
  Expect(settings.node.value >= -1, "node");
  Expect(!settings.trust.value.uuid.empty() || settings.trust.origin == Origin::kDefault, "trust");
  CheckShare(settings.cap.value, "cap");
  CheckShare(settings.vm_cap.value, "cap of the VM");
  CheckShare(settings.emulator_cap.value, "cap of the emulator");
  CheckShare(settings.iothread_cap.value, "cap of I/O threads");
  CheckShare(settings.reservation, "reservation");
  Expect(settings.reservation.time <= settings.reservation.period, "more than all time");
  for (const auto& [vcpu, share] : settings.reservation_of) {
    Expect(vcpu >= 0, "a reservation of no vCPU");
    CheckShare(share, "reservation of a vCPU");
    Expect(share.time <= share.period, "more than all time for a vCPU");
  }
  Expect(settings.metadata_ok || !settings.problems.empty(), "a mistake without a word");
  for (const std::string& problem : settings.problems)
    Expect(!problem.empty() && problem.find('\n') == std::string::npos, "not one line");
}

void TryOne(absl::string_view xml) {
  const absl::StatusOr<DomainXml> domain = ParseDomainXml(xml);
  if (!domain.ok()) {
    Expect(absl::IsInvalidArgument(domain.status()), "not an error of the text");
    Expect(!domain.status().message().empty(), "an error without a word");
    return;
  }
  const TrustRules rules = {
      .by_name = [](const std::string& vm) { return vm == "web" ? "shop" : ""; },
      .nova_projects = domain->vcpus % 2 == 0};
  const VmSettings settings = SettingsOf(*domain, rules);
  CheckSettings(settings);
  CheckSettings(SettingsOf(*domain, {}, &*domain));
  Expect(settings == SettingsOf(*ParseDomainXml(xml), rules), "read again it is another");
}

}  // namespace
}  // namespace corral

// The name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(  // NOLINT(readability-identifier-naming)
    const uint8_t* data, size_t size) {
  corral::TryOne(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
