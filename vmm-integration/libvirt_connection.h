// SPDX-License-Identifier: Apache-2.0
// A read-only connection to libvirt that tells which domains run and when something has happened to
// one, and comes back by itself when libvirt does.
//
// libvirt's event loop and error printer belong to the whole process and are used by a thread of
// this object, so there may be only one object at a time. Callbacks come from that thread, one at a
// time, and never after the destructor. Nothing of Corral waits for libvirt: its answers are
// advice, what runs is read from the kernel.
#ifndef CORRAL_VMM_INTEGRATION_LIBVIRT_CONNECTION_H_
#define CORRAL_VMM_INTEGRATION_LIBVIRT_CONNECTION_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace corral {

class LibvirtConnection {
 public:
  // They must not destroy the connection. Any may be empty.
  struct Callbacks {
    std::function<void()> changed;                   // a domain started, stopped or changed: look
    std::function<void(const std::string&)> notice;  // connection lost, connection back
    // The domains that run (not those that start up or are paused), UUID by name: after connecting
    // and after each change. Empty when the connection is lost.
    std::function<void(std::map<std::string, std::string>)> domains;
  };

  // Waits up to 5 s for the first answer. Unavailable: libvirt does not answer; says what to do.
  static absl::StatusOr<std::unique_ptr<LibvirtConnection>> Open(std::string uri,
                                                                 Callbacks callbacks);
  // Does not wait. If libvirt does not answer, that is a notice.
  static std::unique_ptr<LibvirtConnection> Begin(std::string uri, Callbacks callbacks);
  // Waits up to 2 s for libvirt; a thread that hangs in it is then left to itself.
  ~LibvirtConnection();

 private:
  class Loop;
  explicit LibvirtConnection(std::shared_ptr<Loop> loop) : loop_(std::move(loop)) {}

  const std::shared_ptr<Loop> loop_;  // shared with its thread, which may outlive this object
};

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_LIBVIRT_CONNECTION_H_
