// SPDX-License-Identifier: Apache-2.0
#include "agent/check/host_check.h"

#include "agent/check/host_findings.h"

namespace corral {

KernelFindings CheckWholeHost(const HostTree& tree, const std::string& config) {
  KernelFindings host = CheckRunningKernel(tree);
  CheckSetup(tree, host.findings);
  CheckLibvirt(tree, config, host.findings);
  CheckCpus(tree, host.findings);
  CheckLeaks(tree, host.findings);
  CheckConfig(tree, config, host.findings);
  return host;
}

}  // namespace corral
