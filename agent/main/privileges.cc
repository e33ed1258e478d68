// SPDX-License-Identifier: Apache-2.0
#include "agent/main/privileges.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace corral {

absl::Status DropPrivileges() {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct kept[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, kept) == 0) {
    const __u32 nice = kept[CAP_TO_INDEX(CAP_SYS_NICE)].permitted & CAP_TO_MASK(CAP_SYS_NICE);
    memset(kept, 0, sizeof(kept));
    kept[CAP_TO_INDEX(CAP_SYS_NICE)] = {.effective = nice, .permitted = nice};
    if (syscall(SYS_capset, &header, kept) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
      return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat("cannot give up capabilities: ", strerror(errno)));
}

}  // namespace corral
