// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf/program_call.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace corral {

absl::Status CallProgram(int prog_fd, void* args, size_t size) {
  LIBBPF_OPTS(bpf_test_run_opts, opts);
  opts.ctx_in = args;
  opts.ctx_size_in = static_cast<__u32>(size);
  opts.ctx_out = nullptr;
  if (bpf_prog_test_run_opts(prog_fd, &opts) != 0) {
    return absl::InternalError(absl::StrCat("the call into the class failed: ", strerror(errno)));
  }
  return absl::OkStatus();
}

}  // namespace corral
