// SPDX-License-Identifier: Apache-2.0
// Calling a SYSCALL program of the class: the argument struct goes in, and comes back with the
// answer, which kernel/call_status.h reads.
#ifndef CORRAL_KERNEL_BPF_PROGRAM_CALL_H_
#define CORRAL_KERNEL_BPF_PROGRAM_CALL_H_

#include <cstddef>

#include "absl/status/status.h"

namespace corral {

// One system call. `size` bytes of `args` are copied in and out. Internal: the program did not run.
// No allocation on success. Thread-safe.
absl::Status CallProgram(int prog_fd, void* args, size_t size);

}  // namespace corral

#endif  // CORRAL_KERNEL_BPF_PROGRAM_CALL_H_
