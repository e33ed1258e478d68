// SPDX-License-Identifier: Apache-2.0
// Who trusts whom by corral.yaml, as vmm-integration asks for it. Any thread.
#ifndef CORRAL_AGENT_VIEWS_TRUST_H_
#define CORRAL_AGENT_VIEWS_TRUST_H_

#include "config/config.h"
#include "vmm-integration/vm_settings.h"

namespace corral {

// A copy: the configuration may go.
TrustRules TrustRulesOf(const Config& config);

}  // namespace corral

#endif  // CORRAL_AGENT_VIEWS_TRUST_H_
