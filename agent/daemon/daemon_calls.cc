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

absl::StatusOr<Daemon::Enclave*> Daemon::Find(absl::string_view name) {
  std::string names;
  for (Enclave& enclave : enclaves_) {
    if (enclave.config.name == name) return &enclave;
    absl::StrAppend(&names, names.empty() ? "" : ", ", enclave.config.name);
  }
  return absl::NotFoundError(
      absl::StrCat("there is no enclave \"", name, "\"; there are: ", names));
}

absl::StatusOr<nlohmann::json> Daemon::Handle(const nlohmann::json& asked) {
  const absl::StatusOr<Request> request = ParseRequest(asked);
  if (!request.ok()) return request.status();
  return std::visit([this](const auto& wanted) { return Answer(wanted); }, *request);
}

absl::Status Daemon::CheckEnforces() const {
  if (config_.mode != Mode::kObserve) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "corrald only observes; \"corralctl enable\" makes it enforce");
}

absl::StatusOr<nlohmann::json> Daemon::Answer(const ModeRequest&) {
  return nlohmann::json{{"mode", NameOf(config_.mode)}};
}

absl::StatusOr<nlohmann::json> Daemon::Answer(const ReloadRequest&) {
  if (const absl::Status status = Reload(); !status.ok()) return status;
  return nlohmann::json{{"mode", NameOf(next_mode_.value_or(config_.mode))}};
}

absl::StatusOr<nlohmann::json> Daemon::Answer(const PolicyRequest& request) {
  if (const absl::Status status = CheckEnforces(); !status.ok()) return status;
  const absl::StatusOr<Enclave*> enclave = Find(request.enclave);
  if (!enclave.ok()) return enclave.status();
  const absl::StatusOr<const PolicyInfo*> info = FindPolicy(request.policy);
  if (!info.ok()) return info.status();
  EnclaveConfig wanted = (*enclave)->config;
  wanted.policy = std::string((*info)->name);
  // Options of another policy mean nothing to this one.
  if (wanted.policy != (*enclave)->config.policy)
    wanted.options = OptionValues::Defaults((*info)->options);
  if (const absl::Status status = SwitchPolicy(**enclave, wanted, request.drop_promises);
      !status.ok())
    return status;
  if (!(*info)->promises) DropPromises(**enclave);
  return nlohmann::json::object();
}

// The class and the agents of the programs that are there now take over; then corrald itself begins
// anew, if its program is another one by now, or the class is.
absl::StatusOr<nlohmann::json> Daemon::Answer(const UpgradeRequest& request) {
  if (const absl::Status status = CheckEnforces(); !status.ok()) return status;
  const bool installed = request.agent.empty();
  const std::string program = installed ? agent_program_ : request.agent;
  if (access(program.c_str(), X_OK) != 0)
    return absl::NotFoundError(absl::StrCat("there is no agent program at ", program));
  const bool another_corrald = !ReplacedProgram(getpid()).empty();
  if (another_corrald || installed) {
    // It would begin with that.
    if (const absl::StatusOr<Config> config = ReadConfig(); !config.ok()) return config.status();
  }
  std::optional<Duration> held;
  if (installed) {
    const absl::StatusOr<std::optional<Duration>> upgraded =
        UpgradeClass(another_corrald, config_.whole_host);
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
absl::StatusOr<std::optional<Duration>> Daemon::UpgradeClass(bool another_corrald,
                                                             bool whole_host) {
  const std::string program = InstalledProgram("corral-class");
  if (access(program.c_str(), X_OK) != 0) return std::nullopt;
  ClassHandover handover(*kernel_, options_.runtime_dir, program, whole_host);
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

absl::StatusOr<nlohmann::json> Daemon::Answer(const AttachRequest& request) {
  if (const absl::Status status = CheckEnforces(); !status.ok()) return status;
  const absl::StatusOr<Enclave*> enclave = Find(request.enclave);
  if (!enclave.ok()) return enclave.status();
  if ((*enclave)->config.vms != Vms::kNone) {
    return absl::FailedPreconditionError(
        absl::StrCat("enclave ", (*enclave)->config.name, " holds VMs; name one without \"vms\""));
  }
  if (const absl::Status status = (*enclave)->threads->AttachProcess(request.pid); !status.ok())
    return status;
  return nlohmann::json::object();
}

}  // namespace corral
