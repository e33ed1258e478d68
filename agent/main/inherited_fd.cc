// SPDX-License-Identifier: Apache-2.0
#include "agent/main/inherited_fd.h"

#include <fcntl.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>

namespace corral {

Fd InheritedFd(absl::string_view name) {
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(/*unset_environment=*/0, &names);
  Fd found;
  for (int i = 0; i < count; ++i) {
    if (name == names[i]) found = Fd(fcntl(SD_LISTEN_FDS_START + i, F_DUPFD_CLOEXEC, 0));
    free(names[i]);
  }
  free(names);
  return found;
}

}  // namespace corral
