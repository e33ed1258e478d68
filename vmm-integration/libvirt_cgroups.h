// SPDX-License-Identifier: Apache-2.0
// What libvirt told the kernel of a VM's CPU time: what its cgroups say.
//
// libvirt writes there first, and then into the VM's status file. A daemon that is killed between
// the two never makes up for it: from then on the file is wrong, and virsh schedinfo, which reads
// the cgroups, right. cgroup v2 only, with systemd's machined or without. Reads only; `root` as in
// qemu_process.h. Any thread.
#ifndef CORRAL_VMM_INTEGRATION_LIBVIRT_CGROUPS_H_
#define CORRAL_VMM_INTEGRATION_LIBVIRT_CGROUPS_H_

#include <sys/types.h>

#include <string>

#include "vmm-integration/domain_xml.h"

namespace corral {

// As the files have it; "" where there is none.
struct CgroupTuning {
  std::string weight;
  std::string cap, vcpu_cap, emulator_cap, iothread_cap;
  friend bool operator==(const CgroupTuning&, const CgroupTuning&) = default;
};
CgroupTuning CgroupTuningOf(pid_t process, const std::string& root = "");

// Makes `xml` say what the groups say, where it says something else.
void Overrule(const CgroupTuning& tuning, DomainXml& xml);

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_LIBVIRT_CGROUPS_H_
