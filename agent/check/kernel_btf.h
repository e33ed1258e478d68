// SPDX-License-Identifier: Apache-2.0
// Whether the class could be loaded into a kernel, by the types that the kernel describes itself
// with (BTF). Versions do not tell: distributions have built kernels of one version with and
// without usable kfuncs. Pure; any thread.
#ifndef CORRAL_AGENT_CHECK_KERNEL_BTF_H_
#define CORRAL_AGENT_CHECK_KERNEL_BTF_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace corral {

// One line of kernel/bpf/kfuncs.list: any of them will do, the best first.
using KfuncChoice = std::vector<std::string>;

// As it was when this was built.
std::vector<KfuncChoice> NeededKfuncs();
// Reads such a list: names separated by '|', '#' begins a comment.
std::vector<KfuncChoice> ParseKfuncList(absl::string_view text);

struct BtfVerdict {
  bool has_sched_ext = false;         // it knows struct sched_ext_ops
  std::vector<std::string> absent;    // the kernel has no such function
  std::vector<std::string> untagged;  // it has, but not marked as one that BPF may call
};

// `btf`: the bytes of /sys/kernel/btf/vmlinux or of an image's .BTF section. InvalidArgument: they
// are no BTF.
absl::StatusOr<BtfVerdict> JudgeBtf(absl::string_view btf, const std::vector<KfuncChoice>& needed);

}  // namespace corral

#endif  // CORRAL_AGENT_CHECK_KERNEL_BTF_H_
