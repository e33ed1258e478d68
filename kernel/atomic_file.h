// SPDX-License-Identifier: Apache-2.0
// A file that changes in one step: whoever reads finds the former text or the new one, also after a
// crash. Any thread.
#ifndef CORRAL_KERNEL_ATOMIC_FILE_H_
#define CORRAL_KERNEL_ATOMIC_FILE_H_

#include <string>

#include "absl/status/status.h"

namespace corral {

// With mode 0644; makes its folder if there is none, but no folder above. PermissionDenied, or
// Internal with the reason: nothing was changed.
absl::Status ReplaceFile(const std::string& file, const std::string& text);
// Errors likewise.
absl::Status RemoveFile(const std::string& file);

}  // namespace corral

#endif  // CORRAL_KERNEL_ATOMIC_FILE_H_
