// SPDX-License-Identifier: Apache-2.0
// Calling a SYSCALL program of the class: the argument struct goes in, and comes back with the
// answer.
#ifndef CORRAL_KERNEL_BPF_PROGRAM_CALL_H_
#define CORRAL_KERNEL_BPF_PROGRAM_CALL_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace corral {

// One system call. `size` bytes of `args` are copied in and out. No allocation on success.
// Thread-safe.
absl::Status CallProgram(int prog_fd, absl::string_view what, void* args, size_t size);

// The status for an `args.result` below 0: the fact, and where one is known the remedy.
absl::Status StatusOfResult(int result, absl::string_view what);

template <typename Args>
absl::Status Call(int prog_fd, absl::string_view what, Args& args) {
  const absl::Status status = CallProgram(prog_fd, what, &args, sizeof(args));
  return status.ok() && args.result < 0 ? StatusOfResult(args.result, what) : status;
}

}  // namespace corral

#endif  // CORRAL_KERNEL_BPF_PROGRAM_CALL_H_
