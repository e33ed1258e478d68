// SPDX-License-Identifier: Apache-2.0
// libFuzzer as whoever asks corrald: a call of its D-Bus interface with any arguments, or a packet
// for its socket. Whatever it is, there is an answer, an error has a text, nothing but the calls
// that are published reaches corrald, and what reaches it is a request or refused as malformed.
#include <fuzzer/FuzzedDataProvider.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/bus/bus_service.h"
#include "agent/bus/names.h"
#include "agent/daemon/request.h"
#include "tests/fuzz/expect.h"

namespace corral {
namespace {

using nlohmann::json;

absl::StatusOr<json> Handle(const json& asked) {
  const absl::StatusOr<Request> request = ParseRequest(asked);
  Expect(request.ok() || absl::IsInvalidArgument(request.status()) ||
             absl::IsUnimplemented(request.status()),
         "neither a request nor malformed", request.status().message());
  if (!request.ok()) return request.status();
  if (const auto* const attach = std::get_if<AttachRequest>(&*request))
    Expect(attach->pid > 0, "no process's number");
  return json::object();
}

BusState SomeState() {
  BusState state;
  state.mode = "enforce";
  state.class_state = "in-charge";
  state.unprotected = {"a vCPU"};
  state.enclaves.emplace_back().name = "vms";
  state.domains.emplace_back().name = "web";
  state.cores.emplace_back().siblings.resize(2);
  return state;
}

// A BusService and a caller, without a bus between them.
class Line {
 public:
  Line() {
    int ends[2];
    Expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0,
           "no sockets");
    sd_bus* server = nullptr;
    sd_id128_t id;
    Expect(sd_id128_randomize(&id) >= 0 && sd_bus_new(&server) >= 0 &&
               sd_bus_set_fd(server, ends[0], ends[0]) >= 0 &&
               sd_bus_set_server(server, 1, id) >= 0 && sd_bus_start(server) >= 0,
           "no server");
    const auto handle = [this](const json& request) {
      ++handled_;
      return Handle(request);
    };
    service_ = BusService::OpenOn(server, handle, SomeState()).value();
    Expect(sd_bus_new(&caller_) >= 0 && sd_bus_set_fd(caller_, ends[1], ends[1]) >= 0 &&
               sd_bus_start(caller_) >= 0,
           "no caller");
  }
  ~Line() { sd_bus_close_unref(caller_); }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  // Sends it and takes the answer. Frees it.
  void Ask(sd_bus_message* call) {
    struct Answer {
      bool came = false;
    } answer;
    const auto take = [](sd_bus_message* message, void* to, sd_bus_error*) {
      static_cast<Answer*>(to)->came = true;
      const sd_bus_error* const error = sd_bus_message_get_error(message);
      Expect(error == nullptr || (error->message != nullptr && *error->message != '\0'),
             "an error without a text", error == nullptr ? "" : error->name);
      return 0;
    };
    const int sent = sd_bus_call_async(caller_, nullptr, call, take, &answer, 0);
    sd_bus_message_unref(call);
    Expect(sent >= 0, "it cannot be sent");
    for (int i = 0; i < 1000 && !answer.came; ++i) {
      Expect(service_->Process().ok(), "the line is gone");
      Expect(sd_bus_process(caller_, nullptr) >= 0, "the caller's end is gone");
    }
    Expect(answer.came, "no answer");
    Expect(service_->state().mode == "enforce", "something was changed");
  }

  sd_bus* caller() { return caller_; }
  int handled() const { return handled_; }

 private:
  std::unique_ptr<BusService> service_;
  sd_bus* caller_ = nullptr;
  int handled_ = 0;
};

template <size_t n>
const char* AnyOf(FuzzedDataProvider& data, const char* const (&words)[n]) {
  return words[data.ConsumeIntegralInRange<size_t>(0, n - 1)];
}

// One argument. An error: it cannot be sent, as what is no UTF-8.
int Append(FuzzedDataProvider& data, sd_bus_message* call) {
  switch (data.ConsumeIntegralInRange(0, 8)) {
    case 0:
      return sd_bus_message_append(call, "s", data.ConsumeRandomLengthString(40).c_str());
    case 1:
      return sd_bus_message_append(call, "s", AnyOf(data, {"vms", "fifo", "web", "", "Mode"}));
    case 2:
      return sd_bus_message_append(call, "i", data.ConsumeIntegral<int>());
    case 3:
      return sd_bus_message_append(call, "x", data.ConsumeIntegral<int64_t>());
    case 4:
      return sd_bus_message_append(call, "b", data.ConsumeIntegral<int>());
    case 5:
      return sd_bus_message_append(call, "o", bus::kPath);
    case 6:
      return sd_bus_message_append(call, "s", bus::kInterface);
    case 7:
      return sd_bus_message_append(call, "v", "s", AnyOf(data, {"observe", "", "x"}));
    default:
      return sd_bus_message_append(call, "as", 2, "vms", "fifo");
  }
}

void Call(FuzzedDataProvider& data) {
  Line line;
  const std::string domain = absl::StrCat(bus::kDomainPrefix, "/_30");
  const std::string enclave = absl::StrCat(bus::kEnclavePrefix, "/vms");
  for (int calls = data.ConsumeIntegralInRange(1, 8); calls > 0; --calls) {
    const char* const member =
        AnyOf(data, {"SetPolicy", "Attach", "Reload", "ListCores", "Get", "Set", "GetAll",
                     "GetManagedObjects", "Introspect", "Ping", "X"});
    sd_bus_message* call = nullptr;
    const int made = sd_bus_message_new_method_call(
        line.caller(), &call, nullptr,
        AnyOf(data, {"/", bus::kPath, domain.c_str(), enclave.c_str(), "/a"}),
        AnyOf(data, {bus::kInterface, bus::kEnclaveInterface, bus::kDomainInterface,
                     "org.freedesktop.DBus.Properties", "org.freedesktop.DBus.ObjectManager",
                     "org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.Peer", "a.b"}),
        member);
    Expect(made >= 0, "no call");
    bool complete = true;
    for (int arguments = data.ConsumeIntegralInRange(0, 4); arguments > 0 && complete; --arguments)
      complete = Append(data, call) >= 0;
    if (!complete) {
      sd_bus_message_unref(call);
      return;
    }
    const int before = line.handled();
    line.Ask(call);
    const std::string asked(member);
    Expect(
        line.handled() == before || asked == "SetPolicy" || asked == "Attach" || asked == "Reload",
        "it changes something", asked);
  }
}

}  // namespace
}  // namespace corral

// The name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(  // NOLINT(readability-identifier-naming)
    const uint8_t* data, size_t size) {
  FuzzedDataProvider provider(data, size);
  if (provider.ConsumeBool()) {
    corral::Call(provider);
  } else {
    const std::string packet = provider.ConsumeRemainingBytesAsString();
    corral::Handle(nlohmann::json::parse(packet, nullptr, /*allow_exceptions=*/false))
        .status()
        .IgnoreError();
  }
  return 0;
}
