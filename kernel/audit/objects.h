// SPDX-License-Identifier: Apache-2.0
// The auditor's kernel objects: maps, links and the scan program, as descriptors by name. The
// probes run while any descriptor of their links, or a pin, exists. Internal to kernel/audit.
#ifndef CORRAL_KERNEL_AUDIT_OBJECTS_H_
#define CORRAL_KERNEL_AUDIT_OBJECTS_H_

#include <array>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernel/cpu_set.h"
#include "kernel/fd.h"

namespace corral {

class AuditObjects {
 public:
  enum Id {
    kCores,
    kCpus,
    kThreads,
    kProcesses,
    kDeclared,
    kEpoch,
    kFaults,
    kScan,
    kSwitchLink,  // the links come last
    kExecLink,
    kForkLink,
    kFreeLink,
    kLookLink,
    kCount,
  };
  static constexpr Id kFirstLink = kSwitchLink;

  // Loads and attaches. `cores` is what CheckCores accepts. Suppresses libbpf's own messages while
  // it runs; so nobody else should set libbpf's print function at the same time. Errors:
  // PermissionDenied, FailedPrecondition (no BTF), Internal (verifier).
  static absl::StatusOr<AuditObjects> Load(const std::vector<CpuSet>& cores,
                                           const std::vector<std::string>& names,
                                           size_t max_threads, size_t max_processes);

  // Errors: AlreadyExists, FailedPrecondition (not on a bpffs), PermissionDenied. All or nothing.
  absl::Status Pin(const std::string& dir) const;
  // Errors: NotFound, PermissionDenied, FailedPrecondition (something is missing or of another
  // version).
  static absl::StatusOr<AuditObjects> Open(const std::string& dir);
  // Also removes an incomplete set of pins. Errors: NotFound, PermissionDenied.
  static absl::Status Unpin(const std::string& dir);

  int operator[](Id id) const { return fds_[id].get(); }

 private:
  std::array<Fd, kCount> fds_;
};

}  // namespace corral

#endif  // CORRAL_KERNEL_AUDIT_OBJECTS_H_
