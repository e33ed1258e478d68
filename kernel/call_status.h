// SPDX-License-Identifier: Apache-2.0
// What the class answered, as a status: the same facts and remedies whichever way it was reached.
//
// Any thread may call these. None allocates when the answer is OK.
#ifndef CORRAL_KERNEL_CALL_STATUS_H_
#define CORRAL_KERNEL_CALL_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "kernel/abi/ghost.h"

namespace corral {

// The status for an `args.result` below 0: the fact, and where one is known the remedy. `what` is
// what the caller was about to do, and begins the message.
absl::Status StatusOfResult(int result, absl::string_view what);

// The status for a call that did not reach the class: `why`, with `what` before it.
absl::Status StatusOfFailedCall(const absl::Status& why, absl::string_view what);

// What a call came to. `made` tells whether it reached the class; if so, `args` holds the answer.
template <typename Args>
absl::Status StatusOfCall(const absl::Status& made, const Args& args, absl::string_view what) {
  if (!made.ok()) return StatusOfFailedCall(made, what);
  return args.result < 0 ? StatusOfResult(args.result, what) : absl::OkStatus();
}

// FailedPrecondition: the class that `info` is of speaks another ABI version than this code. `who`
// runs this code: "agent" or "program".
absl::Status CheckAbiVersion(const ghost_class_info& info, absl::string_view who);

}  // namespace corral

#endif  // CORRAL_KERNEL_CALL_STATUS_H_
