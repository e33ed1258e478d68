// SPDX-License-Identifier: Apache-2.0
// What `corralctl audit` prints for people: at most 80 columns, the verdict first. Not for parsing.
#ifndef CORRAL_AGENT_CTL_AUDIT_TEXT_H_
#define CORRAL_AGENT_CTL_AUDIT_TEXT_H_

#include <string>

#include "kernel/audit/report.h"

namespace corral::ctl {

std::string AuditText(const AuditReport& report);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_AUDIT_TEXT_H_
