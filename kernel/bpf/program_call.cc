// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf/program_call.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "kernel/abi/ghost.h"

namespace corral {

absl::Status CallProgram(int prog_fd, absl::string_view what, void* args, size_t size) {
  LIBBPF_OPTS(bpf_test_run_opts, opts);
  opts.ctx_in = args;
  opts.ctx_size_in = static_cast<__u32>(size);
  opts.ctx_out = nullptr;
  if (bpf_prog_test_run_opts(prog_fd, &opts) != 0) {
    return absl::InternalError(
        absl::StrCat(what, ": the call into the class failed: ", strerror(errno)));
  }
  return absl::OkStatus();
}

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

}  // namespace corral
