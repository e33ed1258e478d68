// SPDX-License-Identifier: Apache-2.0
// What libvirt wrote down about its running VMs in /run/libvirt/qemu: who is who, from somebody
// who can be trusted.
//
// A VM's trust domain hangs on its UUID, and a QEMU process that its guest has taken over can
// rewrite its own command line to be another VM. So identity comes from these files, which only
// root can write: NAME.pid, and NAME.xml for the UUID (only its first <uuid> is looked at; the rest
// of that format is libvirt's own business). They are there while libvirt's daemon is not. Reads
// only; `root` as in qemu_process.h. Any thread.
#ifndef CORRAL_VMM_INTEGRATION_LIBVIRT_RECORDS_H_
#define CORRAL_VMM_INTEGRATION_LIBVIRT_RECORDS_H_

#include <optional>
#include <string>
#include <vector>

#include "vmm-integration/vm_source.h"

namespace corral {

struct PidRecord {
  std::string name;
  pid_t pid = 0;
};

// Every NAME.pid. A process that died while libvirt was away leaves its file behind, so of files
// that name the same process only the newest counts.
std::vector<PidRecord> PidRecords(const std::string& root = "");

// The UUID of the VM called `name`, lower case. Nothing if libvirt has no record of it.
std::optional<std::string> RecordedUuid(const std::string& name, const std::string& root = "");

// The VM of a process that has just become one and whose guest has not run: by its own claim, which
// libvirt's pid file must confirm. Nothing if it does not, or not yet.
std::optional<Vm> IdentifyNewVm(pid_t pid, const std::string& root = "");

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_LIBVIRT_RECORDS_H_
