// SPDX-License-Identifier: Apache-2.0
// libvirt's <domain> element as values, as far as Corral looks at it: alone (what a hook gets, a
// definition) or within a status file of /run/libvirt/qemu, where <domstatus> is around it.
//
// Says what is written there and no more; what Corral makes of it is vm_settings.h. Numbers that
// libvirt itself would not have accepted are left out, as if nothing had been said. What stands in
// Corral's own metadata is kept as it is, because libvirt does not look into it. Times are in us,
// as in libvirt's format. Parsed by libxml2, without entities, network or files. Any thread.
#ifndef CORRAL_VMM_INTEGRATION_DOMAIN_XML_H_
#define CORRAL_VMM_INTEGRATION_DOMAIN_XML_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernel/cpu_set.h"

namespace corral {

// The namespace of Corral's metadata.
inline constexpr char kMetadataUri[] = "urn:corral:domain:1";

// An element of Corral's metadata.
struct MetadataElement {
  std::string name;
  bool foreign = false;  // in a namespace that is not ours
  std::map<std::string, std::string> attributes;
  std::vector<MetadataElement> children;
};

// A cap: CPU time per period, both in us.
struct QuotaXml {
  std::optional<int64_t> quota;  // none or negative: unlimited
  std::optional<int64_t> period;
};

struct DomainXml {
  std::string name;
  std::string uuid;               // lower case
  int vcpus = 1;                  // at most, if more are plugged
  std::vector<int> memory_nodes;  // that its memory is to be on, if that was said

  // <cputune>
  std::optional<int64_t> shares;
  QuotaXml vcpu, global, emulator, iothread;
  std::optional<CpuSet> cpuset;  // of every vCPU without a pin
  std::map<int, CpuSet> pins;    // by vCPU
  std::vector<int> real_time;    // vCPUs with <vcpusched> fifo or rr

  std::string nova_project;               // UUID of OpenStack's project, "" if none
  std::vector<MetadataElement> metadata;  // in Corral's namespace; libvirt allows one

  // Of a status file.
  pid_t pid = 0;
  std::map<int, pid_t> threads;  // of the vCPUs that are plugged
};

// A list as libvirt writes it: "0-3,^2,8".
absl::StatusOr<CpuSet> ParseLibvirtCpus(absl::string_view text);

// InvalidArgument: no XML, or not of a domain; says where.
absl::StatusOr<DomainXml> ParseDomainXml(absl::string_view text);

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_DOMAIN_XML_H_
