// SPDX-License-Identifier: Apache-2.0
// usage: corral_completions bash <TEMPLATE | corral_completions zsh
//
// Writes what completes corralctl's command line in that shell, on stdout, from the command line
// itself: subcommands, options and what their values may be are what CLI11 knows of them.
#include <CLI/CLI.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "agent/ctl/commands.h"
#include "policies/registry.h"

namespace corral {
namespace {

// What may stand where a value is wanted.
struct Values {
  enum class Kind { kNone, kText, kFile, kFolder, kWords, kCommand };
  Kind kind = Kind::kNone;
  std::vector<std::string> words;
};

Values ValuesOf(const CLI::Option& option) {
  if (option.get_expected_max() == 0) return {};
  // CLI11 tells a set of words as "TEXT:{any,enforced}".
  const std::string type = option.get_type_name();
  const size_t open = type.find('{'), close = type.find('}');
  if (open != std::string::npos && close != std::string::npos)
    return {Values::Kind::kWords, absl::StrSplit(type.substr(open + 1, close - open - 1), ',')};
  if (type == "FILE") return {Values::Kind::kFile, {}};
  if (type == "DIR") return {Values::Kind::kFolder, {}};
  if (option.get_name() == "COMMAND") return {Values::Kind::kCommand, {}};
  if (type != "POLICY") return {Values::Kind::kText, {}};
  Values values{Values::Kind::kWords, {}};
  for (const PolicyInfo& policy : Policies()) values.words.emplace_back(policy.name);
  return values;
}

struct Option {
  std::string name;  // with its dashes; of a positional one, what help calls it
  std::string help;
  bool positional = false;
  bool repeated = false;
  bool value_may_lack = false;
  Values values;
};

struct Command {
  std::string path;  // "corralctl config check"
  std::string help;
  std::vector<Option> options;
  std::vector<Command> commands;

  std::string name() const { return path.substr(path.rfind(' ') + 1); }
};

Command CommandOf(const CLI::App& app, const std::string& path) {
  Command command{.path = path, .help = app.get_description()};
  for (const CLI::Option* option : app.get_options()) {
    command.options.push_back(
        {.name = option->get_positional() ? option->get_name() : "--" + option->get_lnames()[0],
         .help = option->get_description(),
         .positional = option->get_positional(),
         .repeated = option->get_expected_max() > 1,
         .value_may_lack = option->get_items_expected_min() == 0,
         .values = ValuesOf(*option)});
  }
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    command.commands.push_back(CommandOf(*sub, absl::StrCat(path, " ", sub->get_name())));
  return command;
}

std::string BashValues(const Values& values) {
  switch (values.kind) {
    case Values::Kind::kFile:
      return "-f";
    case Values::Kind::kFolder:
      return "-d";
    case Values::Kind::kCommand:
      return "-c";
    case Values::Kind::kWords:
      return absl::StrCat("-W '", absl::StrJoin(values.words, " "), "'");
    case Values::Kind::kNone:
    case Values::Kind::kText:
      break;
  }
  return "-W ''";
}

// A line of a case: for this key, this text.
std::string Case(const std::string& key, const std::string& text) {
  return absl::StrCat("        '", key, "') printf '%s' \"", text, "\" ;;\n");
}

// For each command "PATH" its words; for each option with a value "PATH --option", or
// "PATH --option=" if it has one only so; for the first positional argument "PATH #0", and so on.
void BashTables(const Command& command, std::string& words, std::string& values) {
  std::vector<std::string> all;
  for (const Command& sub : command.commands) all.push_back(sub.name());
  int position = 0;
  for (const Option& option : command.options) {
    if (!option.positional) all.push_back(option.name);
    const std::string text = BashValues(option.values);
    if (option.positional) {
      absl::StrAppend(&values, Case(absl::StrCat(command.path, " #", position++), text));
    } else if (option.values.kind != Values::Kind::kNone) {
      absl::StrAppend(&values, Case(absl::StrCat(command.path, " ", option.name,
                                                 option.value_may_lack ? "=" : ""),
                                    text));
    }
  }
  absl::StrAppend(&words, Case(command.path, absl::StrJoin(all, " ")));
  for (const Command& sub : command.commands) BashTables(sub, words, values);
}

// Copies the template on stdin, with its two tables.
void Bash(const Command& root) {
  std::string words, values;
  BashTables(root, words, values);
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "@WORDS@") {
      std::cout << words;
    } else if (line == "@VALUES@") {
      std::cout << values;
    } else {
      std::cout << line << "\n";
    }
  }
}

// Text in an argument of _arguments, which stands in single quotes.
std::string ZshText(absl::string_view text) {
  return absl::StrReplaceAll(
      text, {{"'", "'\\''"}, {"[", "\\["}, {"]", "\\]"}, {":", "\\:"}, {"`", "\\`"}, {"$", "\\$"}});
}

std::string ZshValues(const Option& option) {
  const std::string name = ZshText(absl::StrReplaceAll(option.name, {{"--", ""}}));
  switch (option.values.kind) {
    case Values::Kind::kFile:
      return absl::StrCat(":", name, ":_files");
    case Values::Kind::kFolder:
      return absl::StrCat(":", name, ":_files -/");
    case Values::Kind::kWords:
      return absl::StrCat(":", name, ":(", absl::StrJoin(option.values.words, " "), ")");
    case Values::Kind::kText:
      return absl::StrCat(":", name, ": ");
    case Values::Kind::kCommand:
      return absl::StrCat(":", name, ":_normal");
    case Values::Kind::kNone:
      break;
  }
  return "";
}

// `position` is that of a positional one, from 1 on.
std::string ZshArgument(const Option& option, int position) {
  const std::string values = ZshValues(option);
  // "*::" hands what follows over to the completion of that command.
  if (option.positional) {
    if (option.values.kind == Values::Kind::kCommand) return absl::StrCat("*:", values);
    return absl::StrCat(option.repeated ? "*" : absl::StrCat(position), values);
  }
  const bool has_value = option.values.kind != Values::Kind::kNone;
  return absl::StrCat(option.repeated ? "*" : "", option.name,
                      !has_value              ? ""
                      : option.value_may_lack ? "=-"
                                              : "=",
                      "[", ZshText(option.help), "]", option.value_may_lack && has_value ? ":" : "",
                      values);
}

std::string ZshFunction(const Command& command) {
  return absl::StrCat("_", absl::StrReplaceAll(command.path, {{" ", "_"}}));
}

void ZshFunctions(const Command& command, std::string& out) {
  absl::StrAppend(&out, ZshFunction(command), "() {\n");
  std::string arguments;
  int position = 0;
  for (const Option& option : command.options) {
    position += option.positional;
    absl::StrAppend(&arguments, " \\\n        '", ZshArgument(option, position), "'");
  }
  if (command.commands.empty()) {
    absl::StrAppend(&out, "    _arguments -s -S", arguments, "\n}\n\n");
    return;
  }
  absl::StrAppend(&out, "    local state line\n    local -a commands\n    commands=(\n");
  for (const Command& sub : command.commands)
    absl::StrAppend(&out, "        '", sub.name(), ":", ZshText(sub.help), "'\n");
  absl::StrAppend(&out, "    )\n    _arguments -C -s", arguments,
                  " \\\n        '1: :->command' \\\n        '*:: :->argument'\n"
                  "    case $state in\n"
                  "        command) _describe command commands ;;\n"
                  "        argument)\n"
                  "            case $line[1] in\n");
  for (const Command& sub : command.commands)
    absl::StrAppend(&out, "                ", sub.name(), ") ", ZshFunction(sub), " ;;\n");
  absl::StrAppend(&out, "            esac ;;\n    esac\n}\n\n");
  for (const Command& sub : command.commands) ZshFunctions(sub, out);
}

std::string Zsh(const Command& root) {
  std::string out =
      "#compdef corralctl\n"
      "# SPDX-License-Identifier: Apache-2.0\n"
      "# zsh completion of corralctl; generated from its command line.\n\n";
  ZshFunctions(root, out);
  return absl::StrCat(out, "_corralctl \"$@\"\n");
}

}  // namespace
}  // namespace corral

int main(int argc, char** argv) {
  const std::string shell = argc == 2 ? argv[1] : "";
  corral::ctl::Action action;
  const corral::Command root =
      corral::CommandOf(*corral::ctl::MakeCommandLine(action), "corralctl");
  if (shell != "bash" && shell != "zsh") {
    std::cerr << "usage: corral_completions bash <TEMPLATE | corral_completions zsh\n";
    return 2;
  }
  if (shell == "bash") {
    corral::Bash(root);
  } else {
    std::cout << corral::Zsh(root);
  }
  return std::cout.flush() ? 0 : 1;
}
