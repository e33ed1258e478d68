// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/policy_command.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/daemon/control_socket.h"

namespace corral::ctl {
namespace {

struct PolicyOptions {
  std::string enclave;
  std::string policy;
  std::string socket = kControlSocket;
  bool json = false;
};

int RunSet(const PolicyOptions& options) {
  const absl::StatusOr<nlohmann::json> answer = CallDaemon(
      options.socket,
      {{"call", "policy.set"}, {"enclave", options.enclave}, {"policy", options.policy}});
  if (!answer.ok()) return Fail(answer.status());
  if (options.json) {
    Print({{"enclave", options.enclave}, {"policy", options.policy}});
  } else {
    std::cout << "enclave " << options.enclave << ": policy " << options.policy << "\n";
  }
  return kOk;
}

struct RunOptions {
  std::string enclave;
  std::vector<std::string> command;
  std::string socket = kControlSocket;
};

// This process is attached, then becomes the command: from its first instruction the command is in
// the enclave.
int RunRun(RunOptions& options) {
  const absl::StatusOr<nlohmann::json> answer = CallDaemon(
      options.socket, {{"call", "attach"}, {"enclave", options.enclave}, {"pid", getpid()}});
  if (!answer.ok()) return Fail(answer.status());
  std::vector<char*> argv;
  for (std::string& argument : options.command) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  Fail(absl::NotFoundError(
      absl::StrCat("cannot execute ", options.command[0], ": ", strerror(errno))));
  return 127;
}

}  // namespace

void AddPolicyCommand(CLI::App& app, Action& action) {
  CLI::App* const policy = app.add_subcommand("policy", "The policies of the enclaves");
  policy->require_subcommand(1);
  policy->footer("Example: corralctl policy set vms fifo\n");
  CLI::App* const set = policy->add_subcommand("set", "Give an enclave another policy, live");
  const auto options = std::make_shared<PolicyOptions>();
  set->add_option("ENCLAVE", options->enclave, "As in corral.yaml")->required();
  set->add_option("POLICY", options->policy, "For example secure_vm or fifo")
      ->type_name("POLICY")
      ->required();
  set->add_option("--socket", options->socket, "corrald's socket")
      ->type_name("FILE")
      ->capture_default_str();
  set->add_flag("--json", options->json, "Machine-readable");
  set->footer("Example: corralctl policy set vms fifo\n");
  set->callback([&action, options] { action = [options] { return RunSet(*options); }; });
}

void AddRunCommand(CLI::App& app, Action& action) {
  CLI::App* const run =
      app.add_subcommand("run", "Run a program in an enclave; its children follow");
  const auto options = std::make_shared<RunOptions>();
  run->add_option("--enclave", options->enclave, "One that holds no VMs")->required();
  run->add_option("--socket", options->socket, "corrald's socket")
      ->type_name("FILE")
      ->capture_default_str();
  run->add_option("COMMAND", options->command, "The program and its arguments, behind --")
      ->required();
  run->prefix_command(false);
  run->footer("Example: corralctl run --enclave batch -- make -j8\n");
  run->callback([&action, options] { action = [options] { return RunRun(*options); }; });
}

}  // namespace corral::ctl
