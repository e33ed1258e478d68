// SPDX-License-Identifier: Apache-2.0
// What libvirt wrote down about its running VMs in /run/libvirt/qemu: who is who, and what is
// wanted of whom, from somebody who can be trusted.
//
// A VM's trust domain hangs on its UUID, and a QEMU process that its guest has taken over can
// rewrite its own command line to be another VM. So identity comes from these files, which only
// root can write: NAME.pid, and NAME.xml, the VM's status. Around the <domain> the format of the
// latter is libvirt's own business; of it only the threads' ids are looked at, for displays. The
// files are there while libvirt's daemon is not, and are rewritten by whatever virsh changes in a
// running VM. Reads only; `root` as in qemu_process.h. Any thread.
#ifndef CORRAL_VMM_INTEGRATION_LIBVIRT_RECORDS_H_
#define CORRAL_VMM_INTEGRATION_LIBVIRT_RECORDS_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "vmm-integration/domain_xml.h"
#include "vmm-integration/vm_source.h"

namespace corral {

inline constexpr char kRecordsDir[] = "/run/libvirt/qemu";

struct PidRecord {
  std::string name;
  pid_t pid = 0;
};

// Every NAME.pid. A process that died while libvirt was away leaves its file behind, so of files
// that name the same process only the newest counts.
std::vector<PidRecord> PidRecords(const std::string& root = "");

// The status of the VM called `name`. NotFound: libvirt has none of it.
absl::StatusOr<DomainXml> ReadStatus(const std::string& name, const std::string& root = "");
// Its persistent definition. NotFound: it has none (a transient VM).
absl::StatusOr<DomainXml> ReadDefinition(const std::string& name, const std::string& root = "");

// Tells one writing of a status file from the next: libvirt replaces the file as a whole. 0: none.
struct StatusStamp {
  uint64_t inode = 0;
  int64_t written_ns = 0;
  friend bool operator==(const StatusStamp&, const StatusStamp&) = default;
};
StatusStamp StampOf(const std::string& name, const std::string& root = "");

// The VM of a process that has just become one and whose guest has not run: by its own claim, which
// libvirt's pid file must confirm. Nothing if it does not, or not yet.
std::optional<Vm> IdentifyNewVm(pid_t pid, const std::string& root = "");

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_LIBVIRT_RECORDS_H_
