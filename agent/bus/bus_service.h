// SPDX-License-Identifier: Apache-2.0
// org.corral.Corral1 on the system bus: what corrald knows, for everyone to read, and what root,
// or whom polkit allows, may change.
//
// Objects: the manager, an enclave each and a domain each, as org.corral.Corral1(5) lists them. All
// is introspectable, and what changes is told by PropertiesChanged, InterfacesAdded and
// InterfacesRemoved. Errors of calls: org.corral.Corral1.Error.CODE with the code of the
// absl::Status, or what D-Bus itself says of a call with wrong arguments. Used from one thread.
#ifndef CORRAL_AGENT_BUS_BUS_SERVICE_H_
#define CORRAL_AGENT_BUS_BUS_SERVICE_H_

#include <poll.h>
#include <systemd/sd-bus.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/bus/authority.h"
#include "agent/bus/bus_state.h"

namespace corral {

class BusService {
 public:
  // Takes requests as agent/daemon/request.h lists them; called only for whoever may change things.
  using Handler = std::function<absl::StatusOr<nlohmann::json>(const nlohmann::json& request)>;

  // Unavailable: there is no system bus, or it does not give us our name.
  static absl::StatusOr<std::unique_ptr<BusService>> Open(Handler handler, BusState state);
  // On a connection without a bus, straight to a caller, where nobody needs a name. Takes
  // `connection`, whatever comes of it.
  static absl::StatusOr<std::unique_ptr<BusService>> OpenOn(sd_bus* connection, Handler handler,
                                                            BusState state);
  ~BusService();
  BusService(const BusService&) = delete;
  BusService& operator=(const BusService&) = delete;

  // What to poll for; Process() is also to be called now and then without an event.
  pollfd events() const;
  // Answers all callers that are there. Unavailable: the bus is gone; open anew.
  absl::Status Process();
  // Tells whoever listens what is different.
  void Update(BusState state);
  const BusState& state() const { return state_; }

 private:
  struct Unref {
    void operator()(sd_bus* bus) const { sd_bus_flush_close_unref(bus); }
  };

  BusService(Handler handler, BusState state)
      : handler_(std::move(handler)), state_(std::move(state)) {}

  // bus_service.cc: calls. Each answers by itself, at once or when polkit has.
  static int SetPolicy(sd_bus_message* call, void* service, sd_bus_error* error);
  static int Reload(sd_bus_message* call, void* service, sd_bus_error* error);
  static int Attach(sd_bus_message* call, void* service, sd_bus_error* error);
  static int ListCores(sd_bus_message* call, void* service, sd_bus_error* error);
  int Change(sd_bus_message* call, nlohmann::json request);

  // bus_objects.cc: what there is to read.
  static const sd_bus_vtable kManager[];
  int RegisterObjects();
  void TellManager(const BusState& before);
  void TellEnclaves(const BusState& before);
  void TellDomains(const BusState& before);

  const Handler handler_;
  BusState state_;
  std::unique_ptr<sd_bus, Unref> bus_;
  Authority authority_;  // gone before the bus is
};

}  // namespace corral

#endif  // CORRAL_AGENT_BUS_BUS_SERVICE_H_
