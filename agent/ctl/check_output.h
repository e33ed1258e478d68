// SPDX-License-Identifier: Apache-2.0
// What `corralctl check` prints. The text is for people: a line per finding, the verdict last.
//
// The JSON; members may be added:
//   {
//     "subject": "host|kernel",           this host, or an installed kernel
//     "release",                          the kernel's, as uname -r prints it; "" if not known
//     "usable": bool,                     nothing fails
//     "findings": [{"id", "level": "ok|warn|fail", "fact", "remedy": text or null}]
//   }
#ifndef CORRAL_AGENT_CTL_CHECK_OUTPUT_H_
#define CORRAL_AGENT_CTL_CHECK_OUTPUT_H_

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/string_view.h"
#include "agent/check/kernel_findings.h"

namespace corral::ctl {

// The list "findings".
nlohmann::ordered_json FindingsJson(const Findings& findings);
nlohmann::ordered_json CheckJson(const KernelFindings& found, absl::string_view subject);
std::string CheckText(const KernelFindings& found, absl::string_view subject);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_CHECK_OUTPUT_H_
