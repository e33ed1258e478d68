// SPDX-License-Identifier: Apache-2.0
// The VMs of this host as plain values: what the operator said of each and where, and what the
// class holds. What `corralctl domains` displays.
//
// Asks nobody: reads libvirt's records, corral.yaml's rules and the class's memory, so it works
// with corrald and libvirt away. A VM that libvirt does not know (plain QEMU) is known by its
// threads in the class.
#ifndef CORRAL_AGENT_VIEWS_VM_VIEW_H_
#define CORRAL_AGENT_VIEWS_VM_VIEW_H_

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "kernel/ghost_kernel.h"
#include "vmm-integration/vm_settings.h"

namespace corral {

struct VcpuView {
  int vcpu = 0;
  pid_t tid = 0;
  bool attached = false;
  std::string unprotected;  // why; "": it is protected
  // Of an attached one.
  uint32_t domain = 0;
  std::string trust;  // its domain's name
  TaskAttributes attributes;
  Duration granted{0};
  std::string refused;  // why nothing was promised
  CpuSet affinity;
  int cpu = -1;
  Duration runtime{0};
};

struct VmView {
  std::string name;
  std::string uuid;  // "" if only the class knows it
  pid_t pid = 0;
  std::optional<VmSettings> settings;  // none: plain QEMU, or libvirt's record cannot be read
  std::vector<std::string> problems;
  std::vector<VcpuView> vcpus;
  size_t helpers = 0;  // its other threads in the class
};

struct VmsView {
  std::vector<VmView> vms;  // by name
  std::vector<std::string> conflicts;
};

// `root` as in vmm-integration/qemu_process.h.
VmsView ViewVms(const ControlKernel& kernel, const TrustRules& rules, const std::string& root = "");

// {"vms":[...],"conflicts":[...]}; times in ns.
nlohmann::json ToJson(const VmsView& view);

}  // namespace corral

#endif  // CORRAL_AGENT_VIEWS_VM_VIEW_H_
