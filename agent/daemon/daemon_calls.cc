// SPDX-License-Identifier: Apache-2.0
// What the daemon does for those who ask it: the calls of its control socket and of D-Bus.
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "agent/class/class_handover.h"
#include "agent/daemon/daemon.h"
#include "agent/views/running_agent.h"
#include "policies/registry.h"

namespace corral {

absl::StatusOr<Daemon::Enclave*> Daemon::Find(const nlohmann::json& request) {
  const std::string name = request.value("enclave", nlohmann::json()).is_string()
                               ? request["enclave"].get<std::string>()
                               : "";
  std::string names;
  for (Enclave& enclave : enclaves_) {
    if (enclave.config.name == name) return &enclave;
    absl::StrAppend(&names, names.empty() ? "" : ", ", enclave.config.name);
  }
  return absl::NotFoundError(
      absl::StrCat("there is no enclave \"", name, "\"; there are: ", names));
}

absl::StatusOr<nlohmann::json> Daemon::Handle(const nlohmann::json& request) {
  const std::string call = request["call"].get<std::string>();
  if ((call == "policy.set" || call == "attach" || call == "upgrade") &&
      config_.mode == Mode::kObserve) {
    return absl::FailedPreconditionError(
        "corrald only observes; \"corralctl enable\" makes it enforce");
  }
  if (call == "policy.set") return SetPolicy(request);
  if (call == "attach") return AttachProcess(request);
  if (call == "upgrade") return Upgrade(request);
  if (call == "mode") return nlohmann::json{{"mode", NameOf(config_.mode)}};
  if (call == "reload") {
    if (const absl::Status status = Reload(); !status.ok()) return status;
    return nlohmann::json{{"mode", NameOf(next_mode_.value_or(config_.mode))}};
  }
  return absl::UnimplementedError(
      absl::StrCat("there is no call \"", call, "\"; is corralctl newer than corrald?"));
}

absl::StatusOr<nlohmann::json> Daemon::SetPolicy(const nlohmann::json& request) {
  const absl::StatusOr<Enclave*> enclave = Find(request);
  if (!enclave.ok()) return enclave.status();
  const nlohmann::json policy = request.value("policy", nlohmann::json());
  if (!policy.is_string()) return absl::InvalidArgumentError("policy.set needs a \"policy\"");
  const absl::StatusOr<const PolicyInfo*> info = FindPolicy(policy.get<std::string>());
  if (!info.ok()) return info.status();
  EnclaveConfig wanted = (*enclave)->config;
  wanted.policy = std::string((*info)->name);
  // Options of another policy mean nothing to this one.
  if (wanted.policy != (*enclave)->config.policy)
    wanted.options = OptionValues::Defaults((*info)->options);
  const nlohmann::json drop = request.value("drop_promises", nlohmann::json(false));
  if (!drop.is_boolean())
    return absl::InvalidArgumentError("\"drop_promises\" is neither true nor false");
  if (const absl::Status status = SwitchPolicy(**enclave, wanted, drop.get<bool>()); !status.ok())
    return status;
  if (!(*info)->promises) DropPromises(**enclave);
  return nlohmann::json::object();
}

// The class and the agents of the programs that are there now take over; then corrald itself begins
// anew, if its program is another one by now, or the class is.
absl::StatusOr<nlohmann::json> Daemon::Upgrade(const nlohmann::json& request) {
  const nlohmann::json given = request.value("agent", nlohmann::json(""));
  if (!given.is_string()) return absl::InvalidArgumentError("\"agent\" is no path");
  std::string program = given.get<std::string>();
  const bool installed = program.empty();
  if (installed) program = agent_program_;
  if (access(program.c_str(), X_OK) != 0)
    return absl::NotFoundError(absl::StrCat("there is no agent program at ", program));
  const bool another_corrald = !ReplacedProgram(getpid()).empty();
  if (another_corrald || installed) {
    // It would begin with that.
    if (const absl::StatusOr<Config> config = ReadConfig(); !config.ok()) return config.status();
  }
  std::optional<Duration> held;
  if (installed) {
    const absl::StatusOr<std::optional<Duration>> upgraded = UpgradeClass(another_corrald);
    if (!upgraded.ok()) return upgraded.status();
    held = *upgraded;
  }
  nlohmann::json answer = {
      {"enclaves", nlohmann::json::array()},
      {"class", {{"upgraded", held.has_value()}, {"held_ns", held.value_or(Duration(0)).count()}}},
      {"corrald", {{"upgraded", another_corrald || held.has_value()}}}};
  for (Enclave& enclave : enclaves_) {
    bool upgraded = true;  // with another class all agents are new
    if (!held) {
      const absl::StatusOr<bool> taken_over = UpgradeAgent(enclave, program);
      if (!taken_over.ok()) return taken_over.status();
      upgraded = *taken_over;
    }
    answer["enclaves"].push_back({{"enclave", enclave.config.name}, {"upgraded", upgraded}});
  }
  agent_program_ = program;
  if (another_corrald) next_mode_ = config_.mode;
  return answer;
}

// For how long VMs were held; nothing: the class is the one that is installed. From the moment that
// agents have leave, whatever comes of it, this process has to begin anew.
absl::StatusOr<std::optional<Duration>> Daemon::UpgradeClass(bool another_corrald) {
  const std::string program = InstalledProgram("corral-class");
  if (access(program.c_str(), X_OK) != 0) return std::nullopt;
  ClassHandover handover(*kernel_, options_.runtime_dir, program);
  const absl::StatusOr<bool> waits = handover.Prepare(/*same_abi=*/!another_corrald, [this] {
    Supervise();
    sd_notify(0, "WATCHDOG=1");
  });
  if (!waits.ok()) return waits.status();
  if (!*waits) return std::nullopt;
  if (source_ != nullptr) source_->Stop();
  for (Enclave& enclave : enclaves_) enclave.supervisor->Retire();
  const absl::StatusOr<Duration> held = handover.Run();
  next_mode_ = config_.mode;
  if (!held.ok()) {
    log_({Event::kClassNotUpgraded, std::string(held.status().message())});
    return held.status();
  }
  log_({Event::kClassUpgraded,
        absl::StrCat("the class of ", program, " is in charge; the VMs were held for ",
                     *held / std::chrono::milliseconds(1), " ms")});
  return *held;
}

absl::StatusOr<bool> Daemon::UpgradeAgent(Enclave& enclave, const std::string& program) {
  if (enclave.supervisor->IsFrom(program)) return false;
  const Time begin = kernel_->Now();
  AgentSpec spec = enclave.supervisor->spec();
  spec.program = program;
  if (const absl::Status status = enclave.supervisor->SwitchTo(spec); !status.ok()) {
    return absl::Status(status.code(),
                        absl::StrCat("enclave ", enclave.config.name, ": ", status.message()));
  }
  log_(
      {Event::kAgentUpgraded,
       absl::StrCat("enclave ", enclave.config.name, " has an agent from ", program, " now, after ",
                    (kernel_->Now() - begin) / std::chrono::milliseconds(1), " ms"),
       {{"ENCLAVE", enclave.config.name}}});
  return true;
}

absl::StatusOr<nlohmann::json> Daemon::AttachProcess(const nlohmann::json& request) {
  const absl::StatusOr<Enclave*> enclave = Find(request);
  if (!enclave.ok()) return enclave.status();
  const nlohmann::json pid = request.value("pid", nlohmann::json());
  if (!pid.is_number_integer()) return absl::InvalidArgumentError("attach needs a \"pid\"");
  if ((*enclave)->config.vms != Vms::kNone) {
    return absl::FailedPreconditionError(
        absl::StrCat("enclave ", (*enclave)->config.name, " holds VMs; name one without \"vms\""));
  }
  if (const absl::Status status = (*enclave)->threads->AttachProcess(pid.get<pid_t>());
      !status.ok())
    return status;
  return nlohmann::json::object();
}

}  // namespace corral
