// SPDX-License-Identifier: Apache-2.0
// Keeps corrald on the system bus: also one that comes later, or comes back.
//
// A host without a bus lacks nothing but this: corralctl uses the control socket. One thread.
#ifndef CORRAL_AGENT_DAEMON_BUS_LINK_H_
#define CORRAL_AGENT_DAEMON_BUS_LINK_H_

#include <poll.h>

#include <functional>
#include <memory>
#include <string>

#include "agent/bus/bus_service.h"
#include "kernel/types.h"

namespace corral {

class BusLink {
 public:
  using Look = std::function<BusState()>;

  BusLink(BusService::Handler handler, Look look)
      : handler_(std::move(handler)), look_(std::move(look)) {}

  // Whether it has a bus that can be polled for.
  pollfd events() const;
  // Answers callers, and once a second tells what is new. Returns a line for the log; "" for
  // nothing. Call it a few times a second.
  std::string Poll(Time now);

 private:
  static constexpr Duration kRetry = std::chrono::seconds(5);
  static constexpr Duration kLook = std::chrono::seconds(1);

  const BusService::Handler handler_;
  const Look look_;
  std::unique_ptr<BusService> service_;
  Time next_{};  // look, or attempt to connect
  bool told_absent_ = false;
};

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_BUS_LINK_H_
