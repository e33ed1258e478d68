// SPDX-License-Identifier: Apache-2.0
// What the operator wants of a VM, and who said so: the meaning that Corral gives to libvirt's
// <domain> (domain_xml.h) and to the rules of corral.yaml.
//
//   weight       <cputune><shares> (virsh schedinfo cpu_shares), as cgroup v2's cpu.weight
//   cap          <period>, <quota> of each vCPU; <global_period>, <global_quota> of the whole VM.
//                The same for the emulator's and the I/O threads, where they are in the class.
//   node         <numatune><memory nodeset>, if it names one node
//   reservation  Corral's metadata: <reservation budget="2ms" period="10ms" [vcpus="0-3"]/>
//   trust domain a rule of corral.yaml; then the metadata's <trust-domain name="tenant"/>; then,
//                where corral.yaml asks for it, OpenStack's project; then the VM is one by itself
//
// The schema of the metadata is corral-domain-1.rng. A mistake in it is a problem to be told, and
// `metadata_ok` is false then: what it says is void as a whole, and what its last good one said is
// to stay. Plain values; any thread. Times as Duration; CPU time per period.
#ifndef CORRAL_VMM_INTEGRATION_VM_SETTINGS_H_
#define CORRAL_VMM_INTEGRATION_VM_SETTINGS_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "kernel/types.h"
#include "vmm-integration/cgroup_limits.h"
#include "vmm-integration/domain_xml.h"

namespace corral {

// What corral.yaml says about who trusts whom.
struct TrustRules {
  // The trust domain that a rule names for a VM of this name; "" if none does. May be empty.
  std::function<std::string(const std::string& vm)> by_name;
  bool nova_projects = false;  // VMs of an OpenStack project trust each other
};

enum class Origin {
  kDefault,
  kXml,
  kSchedinfo,  // only live: the definition says something else
  kMetadata,
  kRule,
  kNova,
  kCgroup,
};
absl::string_view NameOf(Origin origin);

template <typename T>
struct Setting {
  T value{};
  Origin origin = Origin::kDefault;
  friend bool operator==(const Setting&, const Setting&) = default;
};

// CPU time per period; none if it is 0.
struct TimeShare {
  Duration time{0};
  Duration period{0};
  friend bool operator==(const TimeShare&, const TimeShare&) = default;
};

struct TrustDomain {
  std::string uuid;  // that names it in the class: the VM's own, or one made of the name
  std::string name;
  friend bool operator==(const TrustDomain&, const TrustDomain&) = default;
};

struct VmSettings {
  Setting<TrustDomain> trust;
  Setting<uint32_t> weight{.value = 100};
  Setting<TimeShare> cap;     // of each vCPU
  Setting<TimeShare> vm_cap;  // of all of them together
  Setting<TimeShare> emulator_cap, iothread_cap;
  Setting<int> node{.value = -1};           // -1: none
  TimeShare reservation;                    // of every vCPU that is not in the list
  std::map<int, TimeShare> reservation_of;  // by vCPU
  bool metadata_ok = true;
  std::vector<std::string> problems;  // a line each, with element and remedy

  TimeShare ReservationOf(int vcpu) const;
  friend bool operator==(const VmSettings&, const VmSettings&) = default;
};

// Those of a VM of which nothing is known but who it is.
VmSettings DefaultSettings(const std::string& uuid, const std::string& name);

// `defined`, if given, is the VM's persistent definition: it tells what was changed only live.
VmSettings SettingsOf(const DomainXml& live, const TrustRules& rules,
                      const DomainXml* defined = nullptr);

// Of a VM of plain QEMU, of which only its cgroup says something.
VmSettings SettingsOf(const CgroupLimits& limits, const std::string& uuid, const std::string& name);

// The UUID of a named trust domain: the same on every host (RFC 9562, version 5).
std::string UuidOfTrustDomain(absl::string_view name);

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_VM_SETTINGS_H_
