// SPDX-License-Identifier: Apache-2.0
// The auditor: measures for how long siblings of a physical core ran different VMs, under whatever
// scheduler. kernel/audit/README.md says what counts as a VM, audit.bpf.c how it is measured.
//
// Needs CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN (to read the kernel's count of missed probes) and
// CAP_SYS_NICE; nothing of sched_ext. Process ids are those of the initial pid namespace. An
// Auditor may be used by one thread at a time; several Auditors may exist, also of the same pins.
// Errors are values: each says what is the case and what to do.
#ifndef CORRAL_KERNEL_AUDIT_AUDITOR_H_
#define CORRAL_KERNEL_AUDIT_AUDITOR_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernel/audit/objects.h"
#include "kernel/audit/report.h"
#include "kernel/cpu_set.h"

namespace corral {

struct AuditorOptions {
  // A process is a VM if its executable's file name begins with one of these: up to 16, of 1 to 31
  // bytes.
  std::vector<std::string> exec_names = {"qemu-system-", "qemu-kvm"};
  // Declared at once; see Declare.
  std::vector<pid_t> pids;
  // Which CPUs share a core; empty: as sysfs says. CPUs in none of them are not audited.
  std::vector<CpuSet> cores;
  // Sizes of the tables: 190 and 60 bytes of kernel memory each, allocated at once.
  size_t max_threads = 65536;
  size_t max_processes = 8192;
};

class Auditor {
 public:
  static constexpr char kPinDir[] = "/sys/fs/bpf/corral-audit";

  // Loads the probes, finds the VMs that run, and begins the first epoch. The measurement ends with
  // the Auditor unless pinned.
  static absl::StatusOr<Auditor> Load(const AuditorOptions& options);
  // One that was pinned, by whatever process. The measurement goes on undisturbed.
  static absl::StatusOr<Auditor> OpenPinned(const std::string& dir = kPinDir);

  // Lets the measurement outlive this process. `dir` must not exist, on a BPF file system.
  absl::Status Pin(const std::string& dir = kPinDir) const;
  static absl::Status Unpin(const std::string& dir = kPinDir);

  // Makes each process a VM of its own, all of whose threads are vCPUs. Counts from now on, also
  // for threads that run already. Its children inherit that until they execute something. NotFound
  // if there is no such process.
  absl::Status Declare(const std::vector<pid_t>& pids);
  // From now on `pid` belongs to the same VM as `with`. Both must be VMs already. There is no way
  // to hide a VM.
  absl::Status Merge(pid_t pid, pid_t with);

  // Begins a new epoch at one instant for the whole machine, some 0.2 ms after the call and before
  // it returns. What overlaps then counts from that instant. Threads that have exited are
  // forgotten.
  absl::Status Reset();
  // The figures from the beginning of the epoch until now, open intervals included; changes
  // nothing.
  absl::StatusOr<AuditReport> Read() const;

 private:
  explicit Auditor(AuditObjects objects) : objects_(std::move(objects)) {}

  absl::Status Scan() const;
  absl::Status VisitCpus() const;

  AuditObjects objects_;
};

}  // namespace corral

#endif  // CORRAL_KERNEL_AUDIT_AUDITOR_H_
