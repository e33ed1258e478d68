// SPDX-License-Identifier: Apache-2.0
// What corrald can be asked for, out of the JSON of its socket or of D-Bus (control_socket.h).
#ifndef CORRAL_AGENT_DAEMON_REQUEST_H_
#define CORRAL_AGENT_DAEMON_REQUEST_H_

#include <sys/types.h>

#include <string>
#include <variant>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"

namespace corral {

struct PolicyRequest {
  std::string enclave;
  std::string policy;
  bool drop_promises = false;
};
struct AttachRequest {
  std::string enclave;
  pid_t pid = 0;
};
struct UpgradeRequest {
  std::string agent;  // a program's path; "": whatever is installed
};
struct ModeRequest {};
struct ReloadRequest {};

using Request =
    std::variant<PolicyRequest, AttachRequest, UpgradeRequest, ModeRequest, ReloadRequest>;

// InvalidArgument: what it lacks, or has of the wrong kind. Unimplemented: no such call. Whether
// there is such an enclave, policy, process or program is not looked at.
absl::StatusOr<Request> ParseRequest(const nlohmann::json& request);

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_REQUEST_H_
