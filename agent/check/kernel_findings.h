// SPDX-License-Identifier: Apache-2.0
// Findings about a kernel: ids kernel.*. The running one is judged by what it says of itself, an
// installed one by its file, in the same way.
#ifndef CORRAL_AGENT_CHECK_KERNEL_FINDINGS_H_
#define CORRAL_AGENT_CHECK_KERNEL_FINDINGS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "agent/check/finding.h"
#include "agent/check/host_tree.h"

namespace corral {

// What is judged, by its `uname -r`; empty where it could not be told.
struct KernelFindings {
  std::string release;
  Findings findings;
};

KernelFindings CheckRunningKernel(const HostTree& tree);
// `version`: as in the name of its folder below /usr/lib/modules.
KernelFindings CheckInstalledKernel(const HostTree& tree, absl::string_view version);
// `path` is outside any tree. Its configuration is looked for beside it.
KernelFindings CheckKernelImage(const std::string& path);

}  // namespace corral

#endif  // CORRAL_AGENT_CHECK_KERNEL_FINDINGS_H_
