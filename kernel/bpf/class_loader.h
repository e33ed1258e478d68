// SPDX-License-Identifier: Apache-2.0
// Loads the class into the kernel, pins it, and takes it out again. Root only; one class per
// machine.
//
// The pins own the class: it stays when the loader exits, and leaves with UnloadClass() only.
#ifndef CORRAL_KERNEL_BPF_CLASS_LOADER_H_
#define CORRAL_KERNEL_BPF_CLASS_LOADER_H_

#include <vector>

#include "absl/status/status.h"
#include "kernel/class_layout.h"

namespace corral {

// FailedPrecondition with the remedy when the kernel has no usable sched_ext, another scheduler is
// loaded, or a class is there already. On any error nothing is left behind.
absl::Status LoadClass(const std::vector<ClassCore>& cores, const ClassSizes& sizes);

// Gives every attached thread back to its former policy, then takes the class out. Works on an
// ejected class as well, and with pins missing: class_release.h. FailedPrecondition: there is none.
absl::Status UnloadClass();

// Whether this kernel could run the class, without changing anything: FailedPrecondition says what
// is missing.
absl::Status CheckHost();

}  // namespace corral

#endif  // CORRAL_KERNEL_BPF_CLASS_LOADER_H_
