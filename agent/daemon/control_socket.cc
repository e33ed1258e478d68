// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/control_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"

namespace corral {
namespace {

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address = {.sun_family = AF_UNIX};
  if (path.size() >= sizeof(address.sun_path))
    return absl::InvalidArgumentError(absl::StrCat("the socket path ", path, " is too long"));
  memcpy(address.sun_path, path.data(), path.size());
  return address;
}

void LimitWaiting(int fd, int seconds) {
  const timeval patience = {.tv_sec = seconds};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

absl::StatusOr<Fd> Connect(const std::string& path, int flags) {
  const absl::StatusOr<sockaddr_un> address = AddressOf(path);
  if (!address.ok()) return address.status();
  Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0));
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) == 0)
    return socket;
  // Others wait to be heard, so somebody listens.
  if (errno == EAGAIN) return socket;
  return absl::UnavailableError(
      absl::StrCat("corrald does not answer at ", path, " (", strerror(errno), "); ",
                   errno == EACCES ? "run as root" : "start corrald.service"));
}

// "" when nothing came.
std::string Receive(int fd) {
  std::string packet(kMaxPacket, '\0');
  const ssize_t size = recv(fd, packet.data(), packet.size(), 0);
  packet.resize(size > 0 ? size : 0);
  return packet;
}

}  // namespace

absl::StatusOr<ControlServer> ControlServer::Listen(const std::string& path, Handler handler) {
  const absl::StatusOr<sockaddr_un> address = AddressOf(path);
  if (!address.ok()) return address.status();
  Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  unlink(path.c_str());
  const mode_t old_mask = umask(0177);  // root only, from the first moment
  const int bound =
      bind(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address));
  umask(old_mask);
  if (bound != 0 || listen(socket.get(), 8) != 0) {
    return absl::InternalError(absl::StrCat("cannot listen on ", path, ": ", strerror(errno)));
  }
  return ControlServer(std::move(socket), std::move(handler));
}

void ControlServer::Serve() const {
  const Fd caller(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!caller) return;
  LimitWaiting(caller.get(), 1);
  const std::string packet = Receive(caller.get());
  if (packet.empty()) return;
  const nlohmann::json request = nlohmann::json::parse(packet, nullptr, /*allow_exceptions=*/false);
  nlohmann::json answer;
  if (absl::StatusOr<nlohmann::json> result = handler_(request); result.ok()) {
    answer = *std::move(result);
    answer["ok"] = true;
  } else {
    answer = {{"ok", false}, {"error", std::string(result.status().message())}};
  }
  const std::string text = answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  // A caller that has gone needs no answer.
  [[maybe_unused]] const ssize_t sent = send(caller.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

absl::Status CheckDaemon(const std::string& path) { return Connect(path, SOCK_NONBLOCK).status(); }

absl::StatusOr<nlohmann::json> CallDaemon(const std::string& path, const nlohmann::json& request) {
  const absl::StatusOr<Fd> socket = Connect(path, 0);
  if (!socket.ok()) return socket.status();
  LimitWaiting(socket->get(), 60);
  const std::string text = request.dump();
  if (send(socket->get(), text.data(), text.size(), MSG_NOSIGNAL) < 0) {
    return absl::UnavailableError(
        absl::StrCat("corrald does not listen at ", path, ": ", strerror(errno)));
  }
  nlohmann::json answer =
      nlohmann::json::parse(Receive(socket->get()), nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("ok") || !answer["ok"].is_boolean()) {
    return absl::UnavailableError("corrald gave no answer; see its log");
  }
  if (answer["ok"].get<bool>()) return answer;
  return absl::FailedPreconditionError(answer.contains("error") && answer["error"].is_string()
                                           ? answer["error"].get<std::string>()
                                           : "corrald refused without a reason");
}

absl::StatusOr<nlohmann::json> CallEnforcer(const std::string& path,
                                            const nlohmann::json& request) {
  absl::StatusOr<nlohmann::json> answer = CallDaemon(path, request);
  if (!absl::IsUnavailable(answer.status())) return answer;
  const std::string beside = std::filesystem::path(path).replace_filename(kObserverSocketName);
  if (!CheckDaemon(beside).ok()) return answer;
  return absl::UnavailableError("corrald only observes; \"corralctl enable\" makes it enforce");
}

}  // namespace corral
