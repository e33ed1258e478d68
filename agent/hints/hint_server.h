// SPDX-License-Identifier: Apache-2.0
// Gives processes of the enclave the memory by which they hint (hint_file.h): whoever connects to
// the agent's socket gets a file of its own, and hints for as long as the connection lasts.
//
// Who connects is told by the kernel, so that a process can hint of its own threads only. It must
// have threads in the enclave already, and the same pid namespace as the agent. Whatever it sends
// ends its connection. One thread, beside the loops; never blocks.
#ifndef CORRAL_AGENT_HINTS_HINT_SERVER_H_
#define CORRAL_AGENT_HINTS_HINT_SERVER_H_

#include <functional>
#include <map>
#include <memory>

#include "absl/status/statusor.h"
#include "agent/hints/hint_tables.h"
#include "kernel/fd.h"

namespace corral {

class HintServer {
 public:
  using IsOurs = std::function<bool(pid_t)>;  // the process has threads in the enclave
  // `listener`: a socket of type SOCK_SEQPACKET that listens. `tables` must outlive the server.
  static absl::StatusOr<std::unique_ptr<HintServer>> Create(Fd listener, HintTables& tables,
                                                            IsOurs is_ours);
  ~HintServer();

  int fd() const { return events_.get(); }  // readable: Serve has something to do
  void Serve();

 private:
  struct Client {
    Fd socket;
    pid_t pid = 0;
    int place = 0;
  };

  HintServer(Fd listener, Fd events, HintTables& tables, IsOurs is_ours)
      : listener_(std::move(listener)),
        events_(std::move(events)),
        tables_(tables),
        is_ours_(std::move(is_ours)) {}
  void Welcome();
  absl::Status Grant(Fd socket);
  void Drop(int socket);

  const Fd listener_;
  const Fd events_;  // an epoll
  HintTables& tables_;
  const IsOurs is_ours_;
  std::map<int, Client> clients_;  // by socket
};

}  // namespace corral

#endif  // CORRAL_AGENT_HINTS_HINT_SERVER_H_
