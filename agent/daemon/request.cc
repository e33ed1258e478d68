// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/request.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace corral {
namespace {

using nlohmann::json;

absl::StatusOr<std::string> Text(const json& request, const char* key) {
  const auto found = request.find(key);
  if (found != request.end() && found->is_string()) return found->get<std::string>();
  return absl::InvalidArgumentError(
      absl::StrCat(request["call"].get<std::string>(), " needs \"", key, "\", a text"));
}

absl::StatusOr<Request> ParsePolicy(const json& request) {
  PolicyRequest wanted;
  absl::StatusOr<std::string> enclave = Text(request, "enclave");
  if (!enclave.ok()) return enclave.status();
  wanted.enclave = *std::move(enclave);
  absl::StatusOr<std::string> policy = Text(request, "policy");
  if (!policy.ok()) return policy.status();
  wanted.policy = *std::move(policy);
  const json drop = request.value("drop_promises", json(false));
  if (!drop.is_boolean())
    return absl::InvalidArgumentError("\"drop_promises\" is neither true nor false");
  wanted.drop_promises = drop.get<bool>();
  return wanted;
}

absl::StatusOr<Request> ParseAttach(const json& request) {
  AttachRequest wanted;
  absl::StatusOr<std::string> enclave = Text(request, "enclave");
  if (!enclave.ok()) return enclave.status();
  wanted.enclave = *std::move(enclave);
  const json pid = request.value("pid", json());
  // What is not a pid_t would become another process's number.
  const bool fits = pid.is_number_integer() && pid > 0 && pid <= std::numeric_limits<pid_t>::max();
  if (!fits) return absl::InvalidArgumentError("attach needs \"pid\", a process's number");
  wanted.pid = pid.get<pid_t>();
  return wanted;
}

absl::StatusOr<Request> ParseUpgrade(const json& request) {
  if (!request.contains("agent")) return UpgradeRequest{};
  absl::StatusOr<std::string> agent = Text(request, "agent");
  if (!agent.ok()) return agent.status();
  return UpgradeRequest{*std::move(agent)};
}

}  // namespace

absl::StatusOr<Request> ParseRequest(const json& request) {
  if (!request.is_object() || !request.contains("call") || !request["call"].is_string())
    return absl::InvalidArgumentError("a request is a JSON object with a \"call\"");
  const std::string call = request["call"].get<std::string>();
  if (call == "policy.set") return ParsePolicy(request);
  if (call == "attach") return ParseAttach(request);
  if (call == "upgrade") return ParseUpgrade(request);
  if (call == "mode") return ModeRequest{};
  if (call == "reload") return ReloadRequest{};
  return absl::UnimplementedError(
      absl::StrCat("there is no call \"", call, "\"; is corralctl newer than corrald?"));
}

}  // namespace corral
