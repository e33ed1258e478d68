// SPDX-License-Identifier: Apache-2.0
// Before anything is changed: can this host run Corral, and how well would it keep VMs apart?
#ifndef CORRAL_AGENT_CHECK_HOST_CHECK_H_
#define CORRAL_AGENT_CHECK_HOST_CHECK_H_

#include <string>

#include "agent/check/host_tree.h"
#include "agent/check/kernel_findings.h"

namespace corral {

// Everything there is to find, the running kernel first. `config`: corral.yaml, below the root.
KernelFindings CheckWholeHost(const HostTree& tree, const std::string& config);

}  // namespace corral

#endif  // CORRAL_AGENT_CHECK_HOST_CHECK_H_
