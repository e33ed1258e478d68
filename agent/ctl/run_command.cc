// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/run_command.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/daemon/control_socket.h"

namespace corral::ctl {
namespace {

// As shells and env(1) have it.
constexpr int kCannotExecute = 126;
constexpr int kNoSuchProgram = 127;

struct RunOptions {
  std::string enclave;
  std::vector<std::string> command;
  std::string socket = kControlSocket;
};

int Run(RunOptions& options) {
  const absl::StatusOr<nlohmann::json> answer = CallEnforcer(
      options.socket, {{"call", "attach"}, {"enclave", options.enclave}, {"pid", getpid()}});
  if (!answer.ok()) return Fail(answer.status());
  std::vector<char*> argv;
  for (std::string& argument : options.command) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  const int error = errno;
  Fail(absl::NotFoundError(
      absl::StrCat("cannot execute ", options.command[0], ": ", strerror(error))));
  return error == ENOENT ? kNoSuchProgram : kCannotExecute;
}

}  // namespace

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
  run->callback([&action, options] { action = [options] { return Run(*options); }; });
}

}  // namespace corral::ctl
