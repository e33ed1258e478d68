// SPDX-License-Identifier: Apache-2.0
// corralctl's command line as a whole: each subcommand has an example, each option says what it
// is, facts can be had as JSON, and help fits a terminal.
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/ctl/commands.h"

namespace corral::ctl {
namespace {

class CommandLine : public testing::Test {
 protected:
  struct Entry {
    std::string path;
    const CLI::App* app;
  };

  CommandLine() { Collect(*app_, "corralctl"); }

  void Collect(const CLI::App& app, const std::string& path) {
    all_.push_back({path, &app});
    for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
      Collect(*sub, absl::StrCat(path, " ", sub->get_name()));
  }

  Action action_;
  const std::unique_ptr<CLI::App> app_ = MakeCommandLine(action_);
  std::vector<Entry> all_;
};

TEST_F(CommandLine, EachSubcommandHasAnExampleOfItself) {
  EXPECT_GT(all_.size(), 20u);
  for (const Entry& entry : all_) {
    if (entry.app == app_.get()) continue;
    const std::string& footer = entry.app->get_footer();
    EXPECT_EQ(footer.rfind("Example: ", 0), 0u) << entry.path << ": " << footer;
    EXPECT_NE(footer.find(entry.path), std::string::npos) << entry.path << ": " << footer;
    EXPECT_FALSE(entry.app->get_description().empty()) << entry.path;
  }
}

TEST_F(CommandLine, EachOptionSaysWhatItIs) {
  for (const Entry& entry : all_) {
    for (const CLI::Option* option : entry.app->get_options())
      EXPECT_FALSE(option->get_description().empty()) << entry.path << " " << option->get_name();
  }
}

TEST_F(CommandLine, HelpHas80Columns) {
  for (const Entry& entry : all_) {
    for (const absl::string_view line : absl::StrSplit(entry.app->help(entry.path), '\n'))
      EXPECT_LE(line.size(), 80u) << entry.path << ": " << line;
  }
}

// These print no facts: what libvirt asks, what becomes another program, what only does something.
// A schema is JSON by itself, metrics have a form of their own for programs, and a report is for
// people: programs read the metrics.
TEST_F(CommandLine, FactsCanBeHadAsJson) {
  const std::set<std::string> others = {"corralctl",
                                        "corralctl metrics",
                                        "corralctl report",
                                        "corralctl admit",
                                        "corralctl bugreport",
                                        "corralctl run",
                                        "corralctl top",
                                        "corralctl trace",
                                        "corralctl policy",
                                        "corralctl config",
                                        "corralctl config schema",
                                        "corralctl audit start",
                                        "corralctl audit reset",
                                        "corralctl audit stop"};
  for (const Entry& entry : all_)
    EXPECT_EQ(entry.app->get_option_no_throw("--json") == nullptr, others.contains(entry.path))
        << entry.path;
}

}  // namespace
}  // namespace corral::ctl
