// SPDX-License-Identifier: Apache-2.0
#include "agent/bus/bus_service.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "agent/bus/names.h"

namespace corral {
namespace {

// "org.corral.Corral1.Error.NotFound" and so on.
std::string ErrorName(absl::StatusCode code) {
  std::string name = absl::StrCat(bus::kName, ".Error.");
  bool begins = true;
  for (const char c : absl::StatusCodeToString(code)) {
    if (c == '_') {
      begins = true;
      continue;
    }
    name += begins ? c : absl::ascii_tolower(c);
    begins = false;
  }
  return name;
}

int Refuse(sd_bus_message* call, const absl::Status& why) {
  return sd_bus_reply_method_errorf(call, ErrorName(why.code()).c_str(), "%s",
                                    std::string(why.message()).c_str());
}

}  // namespace

absl::StatusOr<std::unique_ptr<BusService>> BusService::OpenOn(sd_bus* connection, Handler handler,
                                                               BusState state) {
  auto service = std::unique_ptr<BusService>(new BusService(std::move(handler), std::move(state)));
  service->bus_.reset(connection);
  if (const int error = service->RegisterObjects(); error < 0)
    return absl::UnavailableError(absl::StrCat("cannot offer objects: ", strerror(-error)));
  return service;
}

absl::StatusOr<std::unique_ptr<BusService>> BusService::Open(Handler handler, BusState state) {
  const auto unavailable = [](int error) {
    return absl::UnavailableError(
        absl::StrCat("cannot be ", bus::kName, " on the system bus: ", strerror(-error)));
  };
  sd_bus* connection = nullptr;
  if (const int error = sd_bus_open_system_with_description(&connection, "corrald"); error < 0)
    return unavailable(error);
  // Objects first: whoever waits for the name finds them.
  absl::StatusOr<std::unique_ptr<BusService>> service =
      OpenOn(connection, std::move(handler), std::move(state));
  if (!service.ok()) return service;
  if (const int error = sd_bus_request_name(connection, bus::kName, 0); error < 0)
    return unavailable(error);
  return service;
}

BusService::~BusService() = default;

pollfd BusService::events() const {
  const int events = sd_bus_get_events(bus_.get());
  return {.fd = sd_bus_get_fd(bus_.get()), .events = static_cast<short>(events > 0 ? events : 0)};
}

absl::Status BusService::Process() {
  int more = 0;
  do more = sd_bus_process(bus_.get(), nullptr);
  while (more > 0);
  if (more >= 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("the system bus is gone: ", strerror(-more)));
}

void BusService::Update(BusState state) {
  const BusState before = std::exchange(state_, std::move(state));
  TellEnclaves(before);
  TellDomains(before);
  TellManager(before);
}

int BusService::Change(sd_bus_message* call, nlohmann::json request) {
  sd_bus_message_ref(call);
  authority_.Judge(call, [this, call, request = std::move(request)](const absl::Status& verdict) {
    absl::Status done = verdict;
    if (done.ok()) done = handler_(request).status();
    if (done.ok()) {
      sd_bus_reply_method_return(call, nullptr);
    } else {
      Refuse(call, done);
    }
    sd_bus_message_unref(call);
    // After a reload this process may begin anew, and then nobody would send it.
    sd_bus_flush(bus_.get());
  });
  return 1;
}

int BusService::SetPolicy(sd_bus_message* call, void* service, sd_bus_error*) {
  const char *enclave = nullptr, *policy = nullptr;
  if (const int error = sd_bus_message_read(call, "ss", &enclave, &policy); error < 0) return error;
  return static_cast<BusService*>(service)->Change(
      call, {{"call", "policy.set"}, {"enclave", enclave}, {"policy", policy}});
}

int BusService::Reload(sd_bus_message* call, void* service, sd_bus_error*) {
  return static_cast<BusService*>(service)->Change(call, {{"call", "reload"}});
}

int BusService::Attach(sd_bus_message* call, void* service, sd_bus_error*) {
  const char* enclave = nullptr;
  int32_t pid = 0;
  if (const int error = sd_bus_message_read(call, "si", &enclave, &pid); error < 0) return error;
  return static_cast<BusService*>(service)->Change(
      call, {{"call", "attach"}, {"enclave", enclave}, {"pid", pid}});
}

int BusService::ListCores(sd_bus_message* call, void* service, sd_bus_error*) {
  sd_bus_message* reply = nullptr;
  int error = sd_bus_message_new_method_return(call, &reply);
  if (error >= 0) error = sd_bus_message_open_container(reply, 'a', "(uuuua(iubb))");
  const BusState& state = static_cast<BusService*>(service)->state_;
  for (const CoreView& core : state.cores) {
    if (error < 0) break;
    error = sd_bus_message_open_container(reply, 'r', "uuuua(iubb)");
    if (error >= 0)
      error = sd_bus_message_append(reply, "uuuu", core.id, core.node, core.enclave, core.owner);
    if (error >= 0) error = sd_bus_message_open_container(reply, 'a', "(iubb)");
    for (const SiblingView& sibling : core.siblings) {
      if (error < 0) break;
      error = sd_bus_message_append(reply, "(iubb)", sibling.cpu, sibling.domain,
                                    static_cast<int>(sibling.claimed),
                                    static_cast<int>(state.forced_idle.contains(sibling.cpu)));
    }
    if (error >= 0) error = sd_bus_message_close_container(reply);
    if (error >= 0) error = sd_bus_message_close_container(reply);
  }
  if (error >= 0) error = sd_bus_message_close_container(reply);
  if (error >= 0) error = sd_bus_send(nullptr, reply, nullptr);
  sd_bus_message_unref(reply);
  return error;
}

}  // namespace corral
