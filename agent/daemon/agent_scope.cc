// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/agent_scope.h"

#include <poll.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "kernel/bpf/ring_queue.h"

namespace corral {
namespace {

constexpr char kSystemd[] = "org.freedesktop.systemd1";
constexpr char kManagerPath[] = "/org/freedesktop/systemd1";
constexpr char kManager[] = "org.freedesktop.systemd1.Manager";
// For each of systemd's answers.
constexpr Duration kPatience = std::chrono::seconds(2);
// A scope that a predecessor has just left is there for a moment, and takes nobody in.
constexpr int kTries = 20;
constexpr int kBetweenTries = 50;  // ms

// sd-bus frees these by functions that answer.
struct Bus {
  sd_bus* bus = nullptr;
  Bus() = default;
  Bus(const Bus&) = delete;
  ~Bus() { sd_bus_close_unref(bus); }
};
struct BusError {
  sd_bus_error error = SD_BUS_ERROR_NULL;
  BusError() = default;
  BusError(const BusError&) = delete;
  ~BusError() { sd_bus_error_free(&error); }
};

// By itself sd-bus would wait for 90 s for somebody who does not say hello.
int AwaitReady(sd_bus* bus) {
  for (const Time end = MonotonicNow() + kPatience; sd_bus_is_ready(bus) <= 0;) {
    const int done = sd_bus_process(bus, nullptr);
    if (done < 0) return done;
    if (done > 0) continue;
    const Duration left = end - MonotonicNow();
    if (left <= Duration(0)) return -ETIMEDOUT;
    sd_bus_wait(bus, static_cast<uint64_t>(left / std::chrono::microseconds(1)) + 1);
  }
  return 0;
}

int Connect(const std::string& socket, Bus& bus) {
  int result = sd_bus_new(&bus.bus);
  if (result >= 0) result = sd_bus_set_address(bus.bus, ("unix:path=" + socket).c_str());
  if (result >= 0) result = sd_bus_start(bus.bus);
  if (result >= 0) result = AwaitReady(bus.bus);
  if (result >= 0)
    result = static_cast<int>(sd_bus_set_method_call_timeout(
        bus.bus, static_cast<uint64_t>(kPatience / std::chrono::microseconds(1))));
  return result;
}

// Delegated, because only such a unit takes in another process later.
int Start(sd_bus* bus, const std::string& scope, const std::string& enclave, uint32_t agent,
          sd_bus_error* error) {
  const std::string description = absl::StrCat("Corral's agent of enclave ", enclave);
  return sd_bus_call_method(bus, kSystemd, kManagerPath, kManager, "StartTransientUnit", error,
                            nullptr, "ssa(sv)a(sa(sv))", scope.c_str(), "fail", 5, "Description",
                            "s", description.c_str(), "Documentation", "as", 1,
                            "man:corral-agent(8)", "CollectMode", "s", "inactive-or-failed",
                            "Delegate", "b", 1, "PIDs", "au", 1, agent, 0);
}

int Attach(sd_bus* bus, const std::string& scope, uint32_t agent, sd_bus_error* error) {
  return sd_bus_call_method(bus, kSystemd, kManagerPath, kManager, "AttachProcessesToUnit", error,
                            nullptr, "ssau", scope.c_str(), "", 1, agent);
}

}  // namespace

std::string AgentScope(const std::string& enclave) {
  std::string instance;
  for (const char c : enclave) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == ':' ||
        (c == '.' && !instance.empty())) {
      instance += c;
    } else {
      absl::StrAppendFormat(&instance, "\\x%02x", static_cast<unsigned char>(c));
    }
  }
  return absl::StrCat("corral-agent-", instance, ".scope");
}

absl::Status MoveIntoScope(pid_t agent, const std::string& enclave, const std::string& socket) {
  if (access(socket.c_str(), F_OK) != 0)
    return absl::UnavailableError("systemd does not manage this system");
  Bus bus;
  if (const int result = Connect(socket, bus); result < 0)
    return absl::UnavailableError(
        absl::StrCat("cannot ask systemd (", socket, "): ", strerror(-result)));
  const std::string scope = AgentScope(enclave);
  const auto process = static_cast<uint32_t>(agent);
  for (int i = 0;; ++i) {
    BusError started, attached;
    if (Start(bus.bus, scope, enclave, process, &started.error) >= 0) return absl::OkStatus();
    const bool there =
        sd_bus_error_has_name(&started.error, "org.freedesktop.systemd1.UnitExists") != 0;
    if (there && Attach(bus.bus, scope, process, &attached.error) >= 0) return absl::OkStatus();
    if (!there || i == kTries) {
      const sd_bus_error& why = there ? attached.error : started.error;
      return absl::InternalError(absl::StrCat("systemd does not make ", scope, ": ",
                                              why.message != nullptr ? why.message : "no answer"));
    }
    poll(nullptr, 0, kBetweenTries);
  }
}

}  // namespace corral
