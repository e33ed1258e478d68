// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/check_command.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "agent/check/host_check.h"
#include "agent/ctl/check_output.h"
#include "agent/ctl/corral_yaml.h"

namespace corral::ctl {
namespace {

struct Options {
  std::string kernel;
  std::string image;
  std::string config = kCorralYaml;
  bool json = false;
};

KernelFindings Find(const Options& options) {
  const HostTree host;
  if (!options.image.empty()) return CheckKernelImage(options.image);
  if (!options.kernel.empty()) return CheckInstalledKernel(host, options.kernel);
  return CheckWholeHost(host, options.config);
}

int RunCheck(const Options& options) {
  const bool whole_host = options.image.empty() && options.kernel.empty();
  const char* const subject = whole_host ? "host" : "kernel";
  const KernelFindings found = Find(options);
  if (options.json) {
    std::cout << CheckJson(found, subject).dump(2) << "\n";
  } else {
    std::cout << CheckText(found, subject);
  }
  return AnyFails(found.findings) ? kFailure : kOk;
}

}  // namespace

void AddCheckCommand(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("check", "Can this host, or an installed kernel, run Corral");
  const auto options = std::make_shared<Options>();
  CLI::Option* const kernel = command->add_option(
      "--kernel", options->kernel, "Judge this installed kernel, which need not be running");
  command->add_option("--image", options->image, "Judge the kernel in this file")
      ->type_name("FILE")
      ->excludes(kernel);
  command->add_option("--config", options->config, "The configuration to judge")
      ->type_name("FILE")
      ->capture_default_str();
  command->add_flag("--json", options->json, "Machine-readable");
  command->footer("Example: corralctl check --kernel 7.3.4-amd64\n");
  command->callback([&action, options] { action = [options] { return RunCheck(*options); }; });
}

}  // namespace corral::ctl
