// SPDX-License-Identifier: Apache-2.0
// Where the loaded class lives in bpffs, and the names under which its parts are passed to agents.
#ifndef CORRAL_KERNEL_BPF_CLASS_FILES_H_
#define CORRAL_KERNEL_BPF_CLASS_FILES_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernel/fd.h"

namespace corral {

inline constexpr char kClassDir[] = "/sys/fs/bpf/corral";
// Not the class's but corrald's, in the same place so that it goes with the rest
// (vmm-integration/held_vms.h).
inline constexpr char kHeldVmsPin[] = "/sys/fs/bpf/corral/held_vms";

// Opens a pin below kClassDir. FailedPrecondition when the class is not loaded.
absl::StatusOr<Fd> OpenPin(absl::string_view name);

// A folder that holds nothing but held VMs, left by a class for the next one, is none.
bool ClassIsPinned();

}  // namespace corral

#endif  // CORRAL_KERNEL_BPF_CLASS_FILES_H_
