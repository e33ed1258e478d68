// SPDX-License-Identifier: Apache-2.0
// Where the loaded class lives in bpffs, and the names under which its parts are passed to agents.
#ifndef CORRAL_KERNEL_BPF_CLASS_FILES_H_
#define CORRAL_KERNEL_BPF_CLASS_FILES_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernel/fd.h"

namespace corral {

inline constexpr char kBpffs[] = "/sys/fs/bpf";
inline constexpr char kClassDir[] = "/sys/fs/bpf/corral";
// Of a class that is to take its place, and of one whose place was taken (class_succession.h). A
// name in bpffs has no dots.
inline constexpr char kNextDir[] = "/sys/fs/bpf/corral-next";
inline constexpr char kFormerDir[] = "/sys/fs/bpf/corral-former";
// Not the class's but corrald's, in the same place so that it goes with the rest
// (vmm-integration/held_vms.h).
inline constexpr char kHeldVmsPin[] = "/sys/fs/bpf/corral/held_vms";
inline constexpr char kFormerHeldVmsPin[] = "/sys/fs/bpf/corral-former/held_vms";

// Opens a pin below `folder`. FailedPrecondition when the class is not loaded.
absl::StatusOr<Fd> OpenPin(absl::string_view name, absl::string_view folder = kClassDir);

bool BpffsIsMounted();
// A folder that holds nothing but held VMs, left by a class for the next one, is none.
bool ClassIsPinned();
// The error of whoever needs it to be otherwise.
absl::Status ThereIsAClass();

}  // namespace corral

#endif  // CORRAL_KERNEL_BPF_CLASS_FILES_H_
