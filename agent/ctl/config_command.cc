// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/config_command.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/check/host_findings.h"
#include "agent/ctl/corral_yaml.h"
#include "config/drop_ins.h"
#include "config/json_schema.h"
#include "config/show.h"

namespace corral::ctl {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string file = kCorralYaml;
  bool any_host = false;
  bool drop_in = false;
  bool json = false;
};

struct Checked {
  std::vector<std::string> files;
  std::vector<std::string> ignored;
  ConfigCheck result;
};

// A file that cannot be read is an error like any other.
Checked CheckFiles(const Options& options) {
  Checked checked;
  if (const absl::StatusOr<DropIns> drop_ins = FindDropIns(options.file); drop_ins.ok())
    checked.ignored = drop_ins->ignored;
  const absl::StatusOr<std::vector<ConfigText>> texts = ReadConfigTexts(options.file);
  if (!texts.ok()) {
    checked.result.errors = {{.file = options.file, .what = std::string(texts.status().message())}};
    return checked;
  }
  for (const ConfigText& text : *texts) checked.files.push_back(text.file);
  // What keeps the CPUs from being told is `corralctl check`'s business.
  checked.result = CheckConfigTexts(*texts, AllPolicies(),
                                    options.any_host ? HostCpus() : ReadHostCpus(HostTree()));
  return checked;
}

Json ToJson(const Checked& checked) {
  Json errors = Json::array();
  for (const ConfigError& error : checked.result.errors) {
    errors.push_back({{"file", error.file},
                      {"line", error.line},
                      {"column", error.column},
                      {"message", error.what}});
  }
  return {{"valid", checked.result.errors.empty()},
          {"files", checked.files},
          {"ignored", checked.ignored},
          {"errors", errors}};
}

void PrintText(const Options& options, const Checked& checked) {
  for (const ConfigError& error : checked.result.errors) std::cout << error.Text() << "\n";
  for (const std::string& file : checked.ignored)
    std::cout << "note: " << file << " is not read; the name of a drop-in ends in .yaml\n";
  if (!checked.result.errors.empty()) return;
  const Config& config = checked.result.config;
  std::cout << options.file << " is valid, with " << checked.files.size() - 1
            << " drop-ins; mode: " << NameOf(config.mode) << ", " << config.enclaves.size()
            << " enclaves\n";
}

int RunCheck(const Options& options) {
  const Checked checked = CheckFiles(options);
  if (options.json) {
    Print(ToJson(checked));
  } else {
    PrintText(options, checked);
  }
  return checked.result.errors.empty() ? kOk : kFailure;
}

int RunShow(const Options& options) {
  const absl::StatusOr<std::vector<ConfigText>> texts = ReadConfigTexts(options.file);
  if (!texts.ok()) return Fail(texts.status());
  const absl::StatusOr<EffectiveConfig> shown = ShowConfig(*texts, AllPolicies());
  // The command line is right; the file is not.
  if (!shown.ok()) return Fail(absl::FailedPreconditionError(shown.status().message()));
  if (options.json) {
    Print(shown->json);
  } else {
    std::cout << shown->yaml;
  }
  return kOk;
}

int RunSchema(const Options& options) {
  Print(ConfigSchema(options.drop_in ? SchemaOf::kDropIn : SchemaOf::kFile, AllPolicies()));
  return kOk;
}

}  // namespace

void AddConfigCommand(CLI::App& app, Action& action) {
  CLI::App* const config = app.add_subcommand(
      "config", "corral.yaml and its drop-ins: are they right, what is in force");
  config->require_subcommand(1);
  config->footer("Example: corralctl config show\n");
  const auto options = std::make_shared<Options>();
  const auto add = [&](const char* name, const char* help, int (*run)(const Options&)) {
    CLI::App* const command = config->add_subcommand(name, help);
    command->callback(
        [options, &action, run] { action = [options, run] { return run(*options); }; });
    return command;
  };
  const auto add_file = [&](CLI::App* command) {
    command->add_option("FILE", options->file, "The configuration; its drop-ins lie beside it")
        ->type_name("FILE")
        ->capture_default_str();
    command->add_flag("--json", options->json, "Machine-readable");
  };
  CLI::App* const check = add("check", "Tell every error at once, and change nothing", RunCheck);
  add_file(check);
  check->add_flag("--any-host", options->any_host, "Not against the CPUs of this host");
  check->footer("Example: corralctl config check ./corral.yaml --any-host\n");
  CLI::App* const show = add("show", "What is in force, and which file said it", RunShow);
  add_file(show);
  show->footer("Example: corralctl config show\n");
  CLI::App* const schema = add("schema", "Print the JSON Schema of corral.yaml", RunSchema);
  schema->add_flag("--drop-in", options->drop_in, "That of a drop-in instead");
  schema->footer("Example: corralctl config schema > corral.schema.json\n");
}

}  // namespace corral::ctl
