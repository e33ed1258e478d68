// SPDX-License-Identifier: Apache-2.0
#include "agent/hints/hint_server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace corral {
namespace {

constexpr int kAtOnce = 16;

absl::Status Errno(absl::string_view what) {
  return absl::ResourceExhaustedError(absl::StrCat(what, ": ", strerror(errno)));
}

bool Watch(int epoll, int fd) {
  epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data = {.fd = fd}};
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

absl::StatusOr<Fd> MakeFile() {
  Fd fd(memfd_create("corral-hints", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd || ftruncate(fd.get(), sizeof(HintFile)) != 0 ||
      fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return Errno("the agent has no memory for hints");
  return fd;
}

// Its thread ids are not those that the agent knows.
bool HasOtherPids(pid_t pid) {
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  for (std::string word; status >> word;) {
    if (word != "NSpid:") continue;
    // One for each pid namespace that it is in, from the agent's on.
    std::getline(status, word);
    return std::vector<std::string>(absl::StrSplit(word, '\t', absl::SkipWhitespace())).size() > 1;
  }
  return false;
}

absl::Status Send(int socket, absl::string_view text, int fd) {
  iovec part = {.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  if (fd >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    *header = {
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  }
  if (sendmsg(socket, &message, MSG_NOSIGNAL) < 0) return Errno("no answer can be sent");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<HintServer>> HintServer::Create(Fd listener, HintTables& tables,
                                                               IsOurs is_ours) {
  Fd events(epoll_create1(EPOLL_CLOEXEC));
  fcntl(listener.get(), F_SETFL, fcntl(listener.get(), F_GETFL) | O_NONBLOCK);
  if (!events || !Watch(events.get(), listener.get())) return Errno("no hints can be taken");
  return std::unique_ptr<HintServer>(
      new HintServer(std::move(listener), std::move(events), tables, std::move(is_ours)));
}

HintServer::~HintServer() {
  while (!clients_.empty()) Drop(clients_.begin()->first);
}

void HintServer::Serve() {
  std::array<epoll_event, kAtOnce> events{};
  const int count = epoll_wait(events_.get(), events.data(), kAtOnce, 0);
  for (int i = 0; i < count; ++i) {
    if (events[i].data.fd == listener_.get()) {
      Welcome();
    } else {
      Drop(events[i].data.fd);
    }
  }
}

void HintServer::Welcome() {
  Fd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) return;
  const int fd = socket.get();
  const Fd answers(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (const absl::Status granted = Grant(std::move(socket)); !granted.ok())
    Send(answers.get(), granted.message(), -1).IgnoreError();
}

absl::Status HintServer::Grant(Fd socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return Errno("nobody knows who asks");
  if (HasOtherPids(peer.pid)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "process ", peer.pid, " has a pid namespace of its own; hints are for processes without"));
  }
  if (!is_ours_(peer.pid)) {
    return absl::FailedPreconditionError(
        absl::StrCat("process ", peer.pid,
                     " has no thread in this enclave; start it with corralctl "
                     "run, or name it in corral.yaml"));
  }
  // The newest counts: the former one may be that of a program that it has replaced itself by.
  for (const auto& [fd, client] : clients_) {
    if (client.pid != peer.pid) continue;
    Drop(fd);
    break;
  }
  const absl::StatusOr<Fd> file = MakeFile();
  if (!file.ok()) return file.status();
  const absl::StatusOr<int> place = tables_.Put(peer.pid, file->get());
  if (!place.ok()) return place.status();
  absl::Cleanup give_up = [&] { tables_.Remove(*place); };
  const int fd = socket.get();
  if (!Watch(events_.get(), fd)) return Errno("no more processes can hint");
  if (const absl::Status sent = Send(fd, kHintsGranted, file->get()); !sent.ok()) return sent;
  std::move(give_up).Cancel();
  clients_[fd] = {.socket = std::move(socket), .pid = peer.pid, .place = *place};
  return absl::OkStatus();
}

void HintServer::Drop(int socket) {
  const auto client = clients_.find(socket);
  if (client == clients_.end()) return;
  tables_.Remove(client->second.place);
  clients_.erase(client);
}

}  // namespace corral
