// SPDX-License-Identifier: Apache-2.0
// The agent's options: a JSON document in a memory file that nobody can change any more.
//
// The control plane writes it, seals it, and passes it under the descriptor name "options". The
// seals are checked, because a writer could otherwise change a document that was validated already.
#ifndef CORRAL_AGENT_MAIN_SEALED_OPTIONS_H_
#define CORRAL_AGENT_MAIN_SEALED_OPTIONS_H_

#include <string>

#include "absl/status/statusor.h"

namespace corral {

inline constexpr char kOptionsFdName[] = "options";

// The contents of a sealed memory file. PermissionDenied if it is no such file or a seal is
// missing; InvalidArgument if it is larger than 1 MiB. Does not move the file's offset and does not
// close `fd`.
absl::StatusOr<std::string> ReadSealed(int fd);

// The document that was passed to this process (sd_listen_fds), or "{}" if none was. Leaves the
// environment as it is.
absl::StatusOr<std::string> InheritedOptions();

}  // namespace corral

#endif  // CORRAL_AGENT_MAIN_SEALED_OPTIONS_H_
