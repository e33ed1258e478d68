// SPDX-License-Identifier: Apache-2.0
// corralctl's --help in 80 columns: CLI11's own formatter does not break lines.
#ifndef CORRAL_AGENT_CTL_HELP_FORMATTER_H_
#define CORRAL_AGENT_CTL_HELP_FORMATTER_H_

#include <CLI/CLI.hpp>
#include <string>

namespace corral::ctl {

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option_desc(const CLI::Option* option) const override;
  std::string make_subcommand(const CLI::App* command) const override;
};

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_HELP_FORMATTER_H_
