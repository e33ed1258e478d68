// SPDX-License-Identifier: Apache-2.0
// The machine's physical cores as sysfs tells them, for the auditor, which must not depend on the
// class's or the agents' view.
#ifndef CORRAL_KERNEL_AUDIT_CORES_H_
#define CORRAL_KERNEL_AUDIT_CORES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernel/cpu_set.h"

namespace corral {

// The online CPUs, grouped by core, in the order of each core's first CPU. Offline CPUs have no
// topology and are left out. `sysfs` is the mount point, for tests. Errors: Unavailable when sysfs
// cannot be read.
absl::StatusOr<std::vector<CpuSet>> ReadCores(const std::string& sysfs = "/sys");

// Whether the auditor can work with these cores: disjoint, 1 to 8 CPUs each. InvalidArgument names
// the one that is wrong.
absl::Status CheckCores(const std::vector<CpuSet>& cores);

}  // namespace corral

#endif  // CORRAL_KERNEL_AUDIT_CORES_H_
