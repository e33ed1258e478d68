// SPDX-License-Identifier: Apache-2.0
#include "kernel/call_status.h"

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace corral {

absl::Status StatusOfResult(int result, absl::string_view what) {
  switch (-result) {
    case EPERM:
      return absl::PermissionDeniedError(
          absl::StrCat(what, ": this process is no agent of that enclave; corrald starts agents"));
    case ENOENT:
      return absl::NotFoundError(absl::StrCat(what, ": no such object in the class"));
    case ESRCH:
      return absl::NotFoundError(absl::StrCat(what, ": no such thread"));
    case EEXIST:
      return absl::AlreadyExistsError(absl::StrCat(what, ": already there"));
    case EBUSY:
      return absl::FailedPreconditionError(absl::StrCat(what, ": it is in use"));
    case ESTALE:
      return absl::AbortedError(
          absl::StrCat(what, ": the task's barrier moved on; read its status word again"));
    case ENOSPC:
      return absl::ResourceExhaustedError(
          absl::StrCat(what, ": the class has no room left; raise class.tasks or class.domains"));
    case EPROTO:
      return absl::FailedPreconditionError(
          absl::StrCat(what, ": the loaded class speaks another ABI version than ",
                       GHOST_ABI_VERSION, "; restart corral-class.service"));
    case EKEYREJECTED:
      return absl::FailedPreconditionError(
          absl::StrCat(what,
                       ": the thread has a core-scheduling cookie, which hangs hosts under "
                       "sched_ext; set sched_core = \"none\" in qemu.conf, "
                       "or clear the cookie with `coresched`"));
    default:
      return absl::InvalidArgumentError(absl::StrCat(what, ": ", strerror(-result)));
  }
}

absl::Status StatusOfFailedCall(const absl::Status& why, absl::string_view what) {
  return absl::Status(why.code(), absl::StrCat(what, ": ", why.message()));
}

absl::Status CheckAbiVersion(const ghost_class_info& info, absl::string_view who) {
  if (info.abi_version == GHOST_ABI_VERSION) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the loaded class speaks ABI version ", info.abi_version, ", this ", who, " ",
                   GHOST_ABI_VERSION, "; restart corral-class.service"));
}

}  // namespace corral
