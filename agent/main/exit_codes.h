// SPDX-License-Identifier: Apache-2.0
// How corral-agent ends, in the numbers of sysexits.h. A unit restarts it after 69, 70 and 75, not
// after 64, 77 and 78.
#ifndef CORRAL_AGENT_MAIN_EXIT_CODES_H_
#define CORRAL_AGENT_MAIN_EXIT_CODES_H_

#include "absl/status/status.h"

namespace corral {

enum ExitCode {
  kExitOk = 0,            // asked to leave, and left
  kExitUsage = 64,        // wrong command line
  kExitUnavailable = 69,  // no class, another ABI, or no such enclave
  kExitInternal = 70,     // anything else
  kExitLost = 75,         // the class went away, or the core was taken, while it ran
  kExitPermission = 77,   // not the agent of that enclave, or options that are not sealed
  kExitConfig = 78,       // unknown policy, or options that it does not accept
};

// For an error before the agent ran.
inline ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kPermissionDenied:
      return kExitPermission;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kUnavailable:
      return kExitUnavailable;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return kExitConfig;
    default:
      return kExitInternal;
  }
}

}  // namespace corral

#endif  // CORRAL_AGENT_MAIN_EXIT_CODES_H_
