// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/paragraph.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace corral::ctl {

std::string Paragraph(const std::string& head, const std::string& text) {
  const std::string indent(head.size(), ' ');
  std::string out = head, line = head;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    if (line.size() + 1 + word.size() > 80) {
      absl::StrAppend(&out, "\n", indent);
      line = indent;
    }
    absl::StrAppend(&out, " ", word);
    absl::StrAppend(&line, " ", word);
  }
  return out + "\n";
}

}  // namespace corral::ctl
