// SPDX-License-Identifier: Apache-2.0
// One class in the place of another, as far as bpffs is concerned: the next one is pinned beside
// the present one (kNextDir), and what takes its time with the former one (kFormerDir) comes last.
// Root only; one thread.
#ifndef CORRAL_KERNEL_BPF_CLASS_SUCCESSION_H_
#define CORRAL_KERNEL_BPF_CLASS_SUCCESSION_H_

#include "absl/status/status.h"

namespace corral {

// Takes the class out of charge, nothing else: threads stay in SCHED_EXT and run under the default
// scheduler, and the pins are in kFormerDir. Its tracepoints do nothing any more.
absl::Status DisplaceClass();

// Makes kNextDir the class's folder, with the VMs that are held (kHeldVmsPin). AlreadyExists: there
// is a class.
absl::Status InstallNextClass();

// Removes what a succession has left, whatever became of it: classes that are not in charge.
void RemoveOtherClasses();

}  // namespace corral

#endif  // CORRAL_KERNEL_BPF_CLASS_SUCCESSION_H_
