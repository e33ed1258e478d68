// SPDX-License-Identifier: Apache-2.0
// A read-only connection to libvirt that tells which domains run and when something has happened to
// one, and comes back by itself when libvirt does.
//
// There may be any number, each with a thread of its own: what hangs in one daemon hangs nobody
// else. libvirt's event loop and error printer belong to the whole process; the first connection
// sets them up, and the loop's thread runs until the process ends, because libvirt has no way to
// take a loop back. Callbacks come from the connection's thread, one at a time, and never after the
// destructor. Nothing of Corral waits for libvirt: its answers are advice, what runs is read from
// the kernel.
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
    // A domain was started, stopped, defined or undefined, a setting or metadata of it was changed,
    // or a device of it, which a vCPU may be, came or went: look. Changes that come together may
    // be told once.
    std::function<void()> changed;
    std::function<void(const std::string&)> notice;  // connection lost, connection back
    // The domains that run (not those that start up or are paused), UUID by name: after connecting
    // and after each start and end. Empty when the connection is lost.
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
  class Worker;
  explicit LibvirtConnection(std::shared_ptr<Worker> worker) : worker_(std::move(worker)) {}

  // Shared with its thread, which may outlive this object, and with the event loop.
  const std::shared_ptr<Worker> worker_;
};

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_LIBVIRT_CONNECTION_H_
