// SPDX-License-Identifier: Apache-2.0
// Text for a terminal of 80 columns.
#ifndef CORRAL_AGENT_CTL_PARAGRAPH_H_
#define CORRAL_AGENT_CTL_PARAGRAPH_H_

#include <string>

namespace corral::ctl {

// Broken into lines of 80 columns, the first of which begins with `head`, the others with as many
// blanks.
std::string Paragraph(const std::string& head, const std::string& text);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_PARAGRAPH_H_
