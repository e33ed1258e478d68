// SPDX-License-Identifier: Apache-2.0
// Gets out of a kernel's file, without booting it, its version and its BTF. Any thread.
#ifndef CORRAL_AGENT_CHECK_KERNEL_IMAGE_H_
#define CORRAL_AGENT_CHECK_KERNEL_IMAGE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace corral {

struct KernelImage {
  std::string release;  // as uname -r would print it; empty if the file does not tell
  std::string btf;
};

// `bytes`: an x86 bzImage, however it is compressed, or the ELF vmlinux. InvalidArgument: neither,
// truncated or damaged. NotFound: the kernel has no BTF.
absl::StatusOr<KernelImage> ParseKernelImage(absl::string_view bytes);
// The same of a file. Also errors of ReadWholeFile (host_tree.h).
absl::StatusOr<KernelImage> ReadKernelImage(const std::string& path);

}  // namespace corral

#endif  // CORRAL_AGENT_CHECK_KERNEL_IMAGE_H_
