// SPDX-License-Identifier: Apache-2.0
// Descriptors that were passed to this process by name (sd_listen_fds_with_names(3)).
#ifndef CORRAL_AGENT_MAIN_INHERITED_FD_H_
#define CORRAL_AGENT_MAIN_INHERITED_FD_H_

#include "absl/strings/string_view.h"
#include "kernel/fd.h"

namespace corral {

// One of its own for the same file; none if none was passed. Leaves the environment as it is.
Fd InheritedFd(absl::string_view name);

}  // namespace corral

#endif  // CORRAL_AGENT_MAIN_INHERITED_FD_H_
