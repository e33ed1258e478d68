// SPDX-License-Identifier: Apache-2.0
// corrald's root-only socket: one JSON object per packet asks, one answers. What corralctl uses
// where there is no D-Bus.
//
// Requests: request.h has them. Answers: {"ok":true} with whatever the call returns, or
// {"ok":false,"error":TEXT}. "mode" returns {"mode":"observe|enforce"}, and answers only once the
// daemon is ready; "reload" returns {"mode":...} of the new configuration, which the daemon may
// still have to become: then "mode" tells when. A packet has at most kMaxPacket bytes. The server
// is used from one thread.
#ifndef CORRAL_AGENT_DAEMON_CONTROL_SOCKET_H_
#define CORRAL_AGENT_DAEMON_CONTROL_SOCKET_H_

#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "kernel/fd.h"

namespace corral {

inline constexpr char kRuntimeDir[] = "/run/corral";
// Below it. Two names, because libvirt's hook takes it for granted that whoever listens on the
// first one protects VMs.
inline constexpr char kEnforcerSocketName[] = "corrald.sock";
inline constexpr char kObserverSocketName[] = "corrald-observes.sock";
inline constexpr char kControlSocket[] = "/run/corral/corrald.sock";
inline constexpr size_t kMaxPacket = 16 * 1024;

class ControlServer {
 public:
  // Gets whatever came, be it no request at all; is_discarded() if it was no JSON.
  using Handler = std::function<absl::StatusOr<nlohmann::json>(const nlohmann::json& request)>;

  // Replaces a socket that a former daemon left.
  static absl::StatusOr<ControlServer> Listen(const std::string& path, Handler handler);

  // Readable when somebody calls.
  int fd() const { return socket_.get(); }
  // Answers one caller. A caller that says nothing for a second is dropped.
  void Serve() const;

 private:
  ControlServer(Fd socket, Handler handler)
      : socket_(std::move(socket)), handler_(std::move(handler)) {}

  Fd socket_;
  Handler handler_;
};

// OK if a corrald that enforces listens at `path`; Unavailable as CallDaemon otherwise. Waits for
// nothing.
absl::Status CheckDaemon(const std::string& path);

// Asks a running corrald. Unavailable: none answers at `path`; says what to do. The daemon's own
// refusal comes as FailedPrecondition.
absl::StatusOr<nlohmann::json> CallDaemon(const std::string& path, const nlohmann::json& request);

// As CallDaemon, of one that enforces. Unavailable: if one that only observes answers beside
// `path`, it says how to make it enforce.
absl::StatusOr<nlohmann::json> CallEnforcer(const std::string& path, const nlohmann::json& request);

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_CONTROL_SOCKET_H_
