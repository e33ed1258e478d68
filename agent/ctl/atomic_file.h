// SPDX-License-Identifier: Apache-2.0
// A file that changes in one step: whoever reads finds the former text or the new one, also after a
// crash. Any thread.
#ifndef CORRAL_AGENT_CTL_ATOMIC_FILE_H_
#define CORRAL_AGENT_CTL_ATOMIC_FILE_H_

#include <string>

#include "absl/status/status.h"

namespace corral::ctl {

// With mode 0644; makes its folder if there is none, but no folder above. PermissionDenied, or
// Internal with the reason: nothing was changed.
absl::Status ReplaceFile(const std::string& file, const std::string& text);
// Errors likewise.
absl::Status RemoveFile(const std::string& file);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_ATOMIC_FILE_H_
