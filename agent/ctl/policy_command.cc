// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/policy_command.h"

#include <iostream>
#include <memory>
#include <string>

#include "agent/daemon/control_socket.h"

namespace corral::ctl {
namespace {

struct PolicyOptions {
  std::string enclave;
  std::string policy;
  std::string socket = kControlSocket;
  bool drop_promises = false;
  bool json = false;
};

int RunSet(const PolicyOptions& options) {
  const absl::StatusOr<nlohmann::json> answer =
      CallEnforcer(options.socket, {{"call", "policy.set"},
                                    {"enclave", options.enclave},
                                    {"policy", options.policy},
                                    {"drop_promises", options.drop_promises}});
  if (!answer.ok()) return Fail(answer.status());
  if (options.json) {
    Print({{"enclave", options.enclave}, {"policy", options.policy}});
  } else {
    std::cout << "enclave " << options.enclave << ": policy " << options.policy << "\n";
  }
  return kOk;
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
  set->add_flag("--drop-promises", options->drop_promises,
                "Also where vCPUs are promised time, which the policy does not give");
  set->add_flag("--json", options->json, "Machine-readable");
  set->footer("Example: corralctl policy set vms fifo\n");
  set->callback([&action, options] { action = [options] { return RunSet(*options); }; });
}

}  // namespace corral::ctl
