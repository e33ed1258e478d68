// SPDX-License-Identifier: Apache-2.0
// Threads that the class does not hold but that were bound to other CPUs because of it: VMs' main
// loops and I/O threads, kept on the housekeeping CPUs.
//
// What was changed is written down in the class's own memory, so that whoever takes the class out
// undoes it (class_release.h), with corrald gone as well, and so that nothing of it is left
// afterwards. A thread that somebody has bound (virsh emulatorpin, iothreadpin) is left alone. One
// thread at a time.
#ifndef CORRAL_KERNEL_BPF_CONFINED_THREADS_H_
#define CORRAL_KERNEL_BPF_CONFINED_THREADS_H_

#include <sys/types.h>

#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernel/cpu_set.h"
#include "kernel/fd.h"

namespace corral {

class ConfinedThreads {
 public:
  // `unbound`: the CPUs of a thread that nobody has bound, that is, all that are online.
  // FailedPrecondition: the class is not loaded.
  static absl::StatusOr<ConfinedThreads> Open(CpuSet housekeeping, CpuSet unbound);

  // True: it is confined now, and was not before. NotFound: it has ended.
  absl::StatusOr<bool> Confine(pid_t process, pid_t tid) const;
  // One that a confined thread made inherited its CPUs, and is a vCPU: it gets all.
  absl::Status Free(pid_t tid) const;

 private:
  ConfinedThreads(Fd map, CpuSet housekeeping, CpuSet unbound)
      : map_(std::move(map)), housekeeping_(housekeeping), unbound_(unbound) {}

  Fd map_;
  CpuSet housekeeping_;
  CpuSet unbound_;
};

// Gives every thread its former CPUs back, unless somebody has bound it since. Returns how many;
// none without the class, or with one of another release. To be called while vCPUs are still in
// the class.
size_t UndoConfinement();

}  // namespace corral

#endif  // CORRAL_KERNEL_BPF_CONFINED_THREADS_H_
