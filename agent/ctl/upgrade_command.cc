// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/upgrade_command.h"

#include <filesystem>
#include <iostream>
#include <memory>
#include <string>

#include "agent/daemon/control_socket.h"

namespace corral::ctl {
namespace {

struct UpgradeOptions {
  std::string agent;
  std::string socket = kControlSocket;
  bool json = false;
};

int RunUpgrade(const UpgradeOptions& options) {
  const std::string agent =
      options.agent.empty() ? "" : std::filesystem::absolute(options.agent).string();
  const absl::StatusOr<nlohmann::json> answer =
      CallEnforcer(options.socket, {{"call", "upgrade"}, {"agent", agent}});
  if (!answer.ok()) return Fail(answer.status());
  if (options.json) {
    Print(*answer);
    return kOk;
  }
  const nlohmann::json& replaced = (*answer)["class"];
  if (replaced["upgraded"].get<bool>()) {
    std::cout << "the class was replaced; the VMs were held for "
              << replaced["held_ns"].get<int64_t>() / 1000000 << " ms\n";
  }
  for (const nlohmann::json& enclave : (*answer)["enclaves"]) {
    std::cout << "enclave " << enclave["enclave"].get<std::string>() << ": "
              << (enclave["upgraded"].get<bool>() ? "the new agent decides"
                                                  : "its agent is of that program already")
              << "\n";
  }
  if ((*answer)["corrald"]["upgraded"].get<bool>()) std::cout << "corrald begins anew\n";
  return kOk;
}

}  // namespace

void AddUpgradeCommand(CLI::App& app, Action& action) {
  CLI::App* const upgrade = app.add_subcommand(
      "upgrade", "Let the programs that are installed now take over from those that run");
  const auto options = std::make_shared<UpgradeOptions>();
  upgrade
      ->add_option("--agent", options->agent,
                   "A program to try instead of the agent that is installed, until corrald starts "
                   "another one")
      ->type_name("FILE");
  upgrade->add_option("--socket", options->socket, "corrald's socket")
      ->type_name("FILE")
      ->capture_default_str();
  upgrade->add_flag("--json", options->json, "Machine-readable");
  upgrade->footer("Example: corralctl upgrade\n");
  upgrade->callback([&action, options] { action = [options] { return RunUpgrade(*options); }; });
}

}  // namespace corral::ctl
