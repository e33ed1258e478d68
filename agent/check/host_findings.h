// SPDX-License-Identifier: Apache-2.0
// Findings about a host other than its kernel's abilities, a function per subject. All read files
// below the tree's root and nothing else; a file that is missing, truncated or garbage is a
// finding, never an error.
#ifndef CORRAL_AGENT_CHECK_HOST_FINDINGS_H_
#define CORRAL_AGENT_CHECK_HOST_FINDINGS_H_

#include <string>
#include <vector>

#include "agent/check/finding.h"
#include "agent/check/host_tree.h"
#include "config/config.h"
#include "kernel/cpu_set.h"

namespace corral {

// The online CPUs by core: sets of SMT siblings, in the order of their lowest CPUs. Errors: what
// HostTree::Cpus says.
absl::StatusOr<std::vector<CpuSet>> ReadCores(const HostTree& tree);

// What a configuration has to fit. No cores: cpu.online tells why. What cpu.nohz_full cannot read
// is nobody's.
HostCpus ReadHostCpus(const HostTree& tree);

// cpu.smt, cpu.online, cpu.isolated, cpu.nohz_full.
void CheckCpus(const HostTree& tree, Findings& findings);

// mitigation.* and memory.ksm: what else may leak from one VM into another.
void CheckLeaks(const HostTree& tree, Findings& findings);

// host.privileges, host.lockdown, host.bpffs, host.memlock.
void CheckSetup(const HostTree& tree, Findings& findings);

// libvirt.sched_core, libvirt.hook. `config_file` is below the root.
void CheckLibvirt(const HostTree& tree, const std::string& config_file, Findings& findings);

// sched_core of qemu.conf, which says whether VMs get core-scheduling cookies; "" is libvirt's
// default. NotFound: there is no qemu.conf.
absl::StatusOr<std::string> SchedCore(const HostTree& tree);

// corral.yaml by itself, without this host's cores. Errors: what LoadConfig says.
absl::StatusOr<Config> ReadConfig(const HostTree& tree, const std::string& file);

// config.file: corral.yaml, if it is there, against this host's cores. `file` is below the root.
inline constexpr char kConfigFinding[] = "config.file";
void CheckConfig(const HostTree& tree, const std::string& file, Findings& findings);

}  // namespace corral

#endif  // CORRAL_AGENT_CHECK_HOST_FINDINGS_H_
