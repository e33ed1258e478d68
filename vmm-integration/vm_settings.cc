// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/vm_settings.h"

#include <uuid/uuid.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "kernel/one_line.h"

namespace corral {
namespace {

// libvirt's own limits and default of a period.
constexpr Duration kShortestPeriod = std::chrono::milliseconds(1);
constexpr Duration kLongestPeriod = std::chrono::seconds(1);
constexpr Duration kDefaultPeriod = std::chrono::milliseconds(100);
constexpr int64_t kMostShares = 262144;
constexpr size_t kLongestName = 63;  // GHOST_DOMAIN_NAME_LEN, with its end
constexpr char kExample[] = "write for example <reservation budget=\"2ms\" period=\"10ms\"/>";

// Made once, by uuidgen: whoever names a trust domain the same means the same one.
constexpr char kTrustNamespace[] = "5f7c9b52-8d5e-4b6a-9a55-3e1f0c2d7a61";

Duration Microseconds(int64_t us) { return std::chrono::microseconds(us); }

// What is no cap: nothing said, a negative quota, or more than so many CPUs can give.
TimeShare CapOf(const QuotaXml& xml, int most_cpus) {
  if (!xml.quota || *xml.quota <= 0) return {};
  const int64_t us = xml.period.value_or(0);
  const Duration period =
      us <= 0 ? kDefaultPeriod : std::clamp(Microseconds(us), kShortestPeriod, kLongestPeriod);
  // Compared before it is multiplied: libvirt's largest quota does not fit into ns.
  if (*xml.quota >= most_cpus * (period / std::chrono::microseconds(1))) return {};
  return {.time = Microseconds(*xml.quota), .period = period};
}

TimeShare VcpuCapOf(const DomainXml& xml) { return CapOf(xml.vcpu, 1); }
TimeShare VmCapOf(const DomainXml& xml) { return CapOf(xml.global, std::max(xml.vcpus, 1)); }
TimeShare EmulatorCapOf(const DomainXml& xml) { return CapOf(xml.emulator, 1); }
TimeShare IothreadCapOf(const DomainXml& xml) { return CapOf(xml.iothread, 1); }

uint32_t WeightOf(const DomainXml& xml) {
  return static_cast<uint32_t>(std::clamp<int64_t>(xml.shares.value_or(100), 1, kMostShares));
}

// Reads Corral's metadata; the first mistake voids it.
class MetadataReader {
 public:
  MetadataReader(const std::string& vm, VmSettings& settings) : vm_(vm), settings_(settings) {}

  void Read(const std::vector<MetadataElement>& elements) {
    for (const MetadataElement& element : elements) {
      if (&element != &elements.front()) {
        Problem(element, "is there twice", "leave one element of " + std::string(kMetadataUri));
        break;
      }
      ReadRoot(element);
    }
    if (!settings_.metadata_ok) {
      settings_.reservation = {};
      settings_.reservation_of.clear();
      trust_.clear();
    }
  }
  const std::string& trust() const { return trust_; }

 private:
  void Problem(const MetadataElement& element, absl::string_view what, absl::string_view remedy) {
    settings_.metadata_ok = false;
    // Whoever may write a VM's metadata shall not write lines into the host's log.
    settings_.problems.push_back(
        OneLine(absl::StrCat("VM ", vm_, ": metadata <", element.name, ">: ", what, "; ", remedy,
                             " (until then what was in force stays)")));
  }

  void CheckAttributes(const MetadataElement& element, std::vector<std::string> known) {
    for (const auto& [name, value] : element.attributes) {
      if (std::find(known.begin(), known.end(), name) == known.end())
        Problem(element, absl::StrCat("no attribute ", name, " is known"),
                known.empty() ? "take it out" : absl::StrCat("there is ", known.front()));
    }
  }

  void ReadRoot(const MetadataElement& root) {
    if (root.name != "domain") {
      Problem(root, "is not what Corral's metadata begins with",
              "write <domain><reservation .../></domain>");
      return;
    }
    CheckAttributes(root, {});
    for (const MetadataElement& child : root.children) {
      if (!child.foreign && child.name == "reservation") {
        ReadReservation(child);
      } else if (!child.foreign && child.name == "trust-domain") {
        ReadTrust(child);
      } else {
        Problem(child, child.foreign ? "is of another namespace" : "is not known",
                "there are <reservation> and <trust-domain>");
      }
    }
  }

  void ReadReservation(const MetadataElement& element) {
    CheckAttributes(element, {"budget", "period", "vcpus"});
    const TimeShare share{.time = ReadTime(element, "budget"),
                          .period = ReadTime(element, "period")};
    if (!settings_.metadata_ok) return;
    if (share.period < kShortestPeriod || share.period > kLongestPeriod)
      return Problem(element, "the period is not between 1ms and 1s", kExample);
    if (share.time > share.period)
      return Problem(element, "the budget is more than the period",
                     "a budget fits into its period");
    const auto list = element.attributes.find("vcpus");
    if (list == element.attributes.end()) {
      if (settings_.reservation.time > Duration(0))
        return Problem(element, "is there twice without vcpus", "leave one, or name the vcpus");
      settings_.reservation = share;
      return;
    }
    const absl::StatusOr<CpuSet> vcpus = ParseLibvirtCpus(list->second);
    if (!vcpus.ok() || vcpus->empty())
      return Problem(element, absl::StrCat("vcpus \"", list->second, "\" is no list"),
                     "write for example vcpus=\"0-3\"");
    vcpus->ForEach([&](CpuId vcpu) {
      const bool fresh = settings_.reservation_of.emplace(vcpu.value(), share).second;
      if (!fresh)
        Problem(element, absl::StrCat("vCPU ", vcpu.value(), " is in two reservations"),
                "leave it in one");
    });
  }

  Duration ReadTime(const MetadataElement& element, const char* name) {
    const auto text = element.attributes.find(name);
    if (text == element.attributes.end()) {
      Problem(element, absl::StrCat("there is no ", name), kExample);
      return {};
    }
    absl::Duration time;
    if (!absl::ParseDuration(text->second, &time) || time <= absl::ZeroDuration() ||
        time > absl::Hours(1)) {
      Problem(element, absl::StrCat(name, " \"", text->second, "\" is not a time"), kExample);
      return {};
    }
    return Duration(absl::ToInt64Nanoseconds(time));
  }

  void ReadTrust(const MetadataElement& element) {
    CheckAttributes(element, {"name"});
    const auto name = element.attributes.find("name");
    if (!trust_.empty()) return Problem(element, "is there twice", "leave one");
    if (name == element.attributes.end() || name->second.empty() ||
        name->second.size() > kLongestName ||
        std::any_of(name->second.begin(), name->second.end(), absl::ascii_iscntrl)) {
      return Problem(element,
                     absl::StrCat("a name has 1 to ", kLongestName, " bytes that can be printed"),
                     "write for example <trust-domain name=\"tenant-a\"/>");
    }
    trust_ = name->second;
  }

  const std::string& vm_;
  VmSettings& settings_;
  std::string trust_;
};

Setting<TrustDomain> TrustOf(const DomainXml& xml, const TrustRules& rules,
                             const std::string& by_metadata) {
  const auto named = [](const std::string& name, Origin origin) {
    return Setting<TrustDomain>{{.uuid = UuidOfTrustDomain(name), .name = name}, origin};
  };
  const std::string by_rule = rules.by_name ? rules.by_name(xml.name) : "";
  if (!by_rule.empty()) return named(by_rule, Origin::kRule);
  if (!by_metadata.empty()) return named(by_metadata, Origin::kMetadata);
  if (rules.nova_projects && !xml.nova_project.empty())
    return named(absl::StrCat("nova-", xml.nova_project), Origin::kNova);
  return {{.uuid = xml.uuid, .name = xml.name}, Origin::kDefault};
}

// Who said `live`: nobody, the definition, or schedinfo since then.
template <typename T>
Setting<T> Tuned(const T& live, const T& nothing, const T* defined) {
  if (defined != nullptr && live != *defined) return {live, Origin::kSchedinfo};
  return {live, live == nothing ? Origin::kDefault : Origin::kXml};
}

template <typename T>
Setting<T> Tuned(T (*read)(const DomainXml&), const T& nothing, const DomainXml& live,
                 const DomainXml* defined) {
  if (defined == nullptr) return Tuned<T>(read(live), nothing, nullptr);
  const T before = read(*defined);
  return Tuned<T>(read(live), nothing, &before);
}

int NodeOf(const DomainXml& xml) {
  return xml.memory_nodes.size() == 1 ? xml.memory_nodes.front() : -1;
}

}  // namespace

absl::string_view NameOf(Origin origin) {
  switch (origin) {
    case Origin::kDefault:
      return "default";
    case Origin::kXml:
      return "XML";
    case Origin::kSchedinfo:
      return "schedinfo";
    case Origin::kMetadata:
      return "metadata";
    case Origin::kRule:
      return "rule";
    case Origin::kNova:
      return "Nova";
    case Origin::kCgroup:
      return "cgroup";
  }
  return "?";
}

TimeShare VmSettings::ReservationOf(int vcpu) const {
  const auto own = reservation_of.find(vcpu);
  return own == reservation_of.end() ? reservation : own->second;
}

VmSettings DefaultSettings(const std::string& uuid, const std::string& name) {
  return {.trust = {.value = {.uuid = uuid, .name = name}}};
}

VmSettings SettingsOf(const DomainXml& live, const TrustRules& rules, const DomainXml* defined) {
  VmSettings settings;
  settings.weight = Tuned<uint32_t>(WeightOf, 100, live, defined);
  settings.cap = Tuned<TimeShare>(VcpuCapOf, {}, live, defined);
  settings.vm_cap = Tuned<TimeShare>(VmCapOf, {}, live, defined);
  settings.emulator_cap = Tuned<TimeShare>(EmulatorCapOf, {}, live, defined);
  settings.iothread_cap = Tuned<TimeShare>(IothreadCapOf, {}, live, defined);
  settings.node = Tuned<int>(NodeOf, -1, live, defined);
  MetadataReader metadata(live.name, settings);
  metadata.Read(live.metadata);
  settings.trust = TrustOf(live, rules, metadata.trust());
  return settings;
}

VmSettings SettingsOf(const CgroupLimits& limits, const std::string& uuid,
                      const std::string& name) {
  VmSettings settings = DefaultSettings(uuid, name);
  const auto origin = [](bool said) { return said ? Origin::kCgroup : Origin::kDefault; };
  settings.weight = {static_cast<uint32_t>(limits.weight), origin(limits.weight != 100)};
  settings.vm_cap = {{.time = limits.quota, .period = limits.period},
                     origin(limits.quota > Duration(0))};
  return settings;
}

std::string UuidOfTrustDomain(absl::string_view name) {
  uuid_t space, uuid;
  uuid_parse(kTrustNamespace, space);
  uuid_generate_sha1(uuid, space, name.data(), name.size());
  char text[UUID_STR_LEN];
  uuid_unparse_lower(uuid, text);
  return text;
}

}  // namespace corral
