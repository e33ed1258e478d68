// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/help_formatter.h"

#include <sstream>

#include "absl/strings/str_split.h"

namespace corral::ctl {
namespace {

constexpr size_t kColumns = 80;

// In lines of at most so many columns, unless a word is longer.
std::string Wrapped(const std::string& text, size_t columns) {
  std::string out;
  size_t line = 0;
  for (const std::string& word : std::vector<std::string>(absl::StrSplit(text, ' '))) {
    const bool fits = line == 0 || line + 1 + word.size() <= columns;
    if (!out.empty()) out += fits ? ' ' : '\n';
    line = fits && line > 0 ? line + 1 + word.size() : word.size();
    out += word;
  }
  return out;
}

}  // namespace

std::string HelpFormatter::make_option_desc(const CLI::Option* option) const {
  return Wrapped(CLI::Formatter::make_option_desc(option), kColumns - get_column_width());
}

std::string HelpFormatter::make_subcommand(const CLI::App* command) const {
  std::ostringstream out;
  CLI::detail::format_help(out, command->get_display_name(true),
                           Wrapped(command->get_description(), kColumns - get_column_width()),
                           get_column_width());
  return out.str();
}

}  // namespace corral::ctl
