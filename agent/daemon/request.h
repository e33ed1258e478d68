// SPDX-License-Identifier: Apache-2.0
// What corrald can be asked for, by its socket (control_socket.h) or over D-Bus: a JSON object with
// the name of the call and its arguments.
#ifndef CORRAL_AGENT_DAEMON_REQUEST_H_
#define CORRAL_AGENT_DAEMON_REQUEST_H_

#include <sys/types.h>

#include <string>
#include <variant>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"

namespace corral {

// {"call":"policy.set","enclave":E,"policy":P}, and "drop_promises":true if it shall
struct PolicyRequest {
  std::string enclave;
  std::string policy;
  bool drop_promises = false;
};
// {"call":"attach","enclave":E,"pid":N}
struct AttachRequest {
  std::string enclave;
  pid_t pid = 0;
};
// {"call":"upgrade"}, and "agent":PATH for another one
struct UpgradeRequest {
  std::string agent;  // a program's path; "": whatever is installed
};
// {"call":"mode"}
struct ModeRequest {};
// {"call":"reload"}
struct ReloadRequest {};

using Request =
    std::variant<PolicyRequest, AttachRequest, UpgradeRequest, ModeRequest, ReloadRequest>;

// InvalidArgument: what it lacks, or has of the wrong kind. Unimplemented: no such call. Whether
// there is such an enclave, policy, process or program is not looked at.
absl::StatusOr<Request> ParseRequest(const nlohmann::json& request);

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_REQUEST_H_
