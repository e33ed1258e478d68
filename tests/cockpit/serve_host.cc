// SPDX-License-Identifier: Apache-2.0
// usage: serve_host CPUS. The real D-Bus service of corrald for a simulated host, on a bus of its
// own that passes for the system's. Prints the bus's address, then obeys a line of input each and
// answers "ok" or what is wrong:
//
//   stop, start   corrald leaves the bus, and comes back
//   hang          corrald stays there and answers nothing until it gets the next line
//   freeze, thaw  time stands still on the host, and goes on
//   add NAME      a VM more, with one vCPU
//   show WHAT     from now on: "host" as it is, "observing", "lost" or "breached"
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "agent/bus/bus_service.h"
#include "tests/bus/private_bus.h"
#include "tests/cockpit/simulated_host.h"

namespace corral {
namespace {

using std::chrono::milliseconds;

class Server {
 public:
  explicit Server(int cpus) : host_(cpus) {}

  absl::Status Start() {
    absl::StatusOr<std::unique_ptr<BusService>> service =
        BusService::Open([this](const nlohmann::json& request) { return Handle(request); }, Look());
    if (!service.ok()) return service.status();
    service_ = *std::move(service);
    return absl::OkStatus();
  }

  // Until there is no more input.
  void Run() {
    for (int round = 0;; ++round) {
      pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                      service_ != nullptr && !hangs_ ? service_->events() : pollfd{.fd = -1}};
      poll(fds, 2, 50);
      if (fds[0].revents != 0 && !Read()) return;
      if (service_ == nullptr || hangs_) continue;
      if (!service_->Process().ok()) return;
      // Slower than a real host's, and corrald looks more often: whole hosts are simulated here.
      if (round % 5 != 0 || frozen_) continue;
      host_.Pass(milliseconds(5));
      service_->Update(Look());
    }
  }

 private:
  bool Read() {
    char bytes[4096];
    const ssize_t size = read(STDIN_FILENO, bytes, sizeof(bytes));
    if (size <= 0) return false;
    input_.append(bytes, size);
    for (size_t end; (end = input_.find('\n')) != std::string::npos; input_.erase(0, end + 1)) {
      const absl::Status status = Obey(input_.substr(0, end));
      std::cout << (status.ok() ? "ok" : status.message()) << std::endl;
    }
    return true;
  }

  absl::Status Obey(absl::string_view line) {
    hangs_ = line == "hang";
    if (hangs_) return absl::OkStatus();
    if (line == "stop") {
      service_.reset();
      return absl::OkStatus();
    }
    if (line == "start") return Start();
    if (line == "freeze" || line == "thaw") {
      frozen_ = line == "freeze";
      return absl::OkStatus();
    }
    if (absl::ConsumePrefix(&line, "add ")) {
      host_.AddVm(std::string(line), 1);
    } else if (absl::ConsumePrefix(&line, "show ")) {
      shown_ = std::string(line);
    } else {
      return absl::InvalidArgumentError(absl::StrCat("what is \"", line, "\"?"));
    }
    if (service_ != nullptr) service_->Update(Look());
    return absl::OkStatus();
  }

  // A simulated class is always in charge and has no breaches.
  BusState Look() const {
    if (shown_ == "observing") return LookForBus(Mode::kObserve, nullptr);
    BusState state = host_.Look();
    if (shown_ == "lost") state.class_state = "lost";
    if (shown_ == "breached") state.breaches = 3;
    return state;
  }

  absl::StatusOr<nlohmann::json> Handle(const nlohmann::json& request) {
    if (request["call"] != "policy.set") return absl::UnimplementedError("not here");
    const absl::Status status = host_.SetPolicy(request["enclave"], request["policy"]);
    if (!status.ok()) return status;
    return nlohmann::json::object();
  }

  SimulatedHost host_;
  std::string shown_ = "host";
  std::unique_ptr<BusService> service_;
  std::string input_;
  bool hangs_ = false;
  bool frozen_ = false;
};

}  // namespace
}  // namespace corral

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const corral::PrivateBus bus;
  if (!bus.works()) return 1;
  corral::Server server(atoi(argv[1]));
  if (const absl::Status status = server.Start(); !status.ok()) {
    std::cerr << status.message() << "\n";
    return 1;
  }
  std::cout << bus.address() << std::endl;
  server.Run();
  return 0;
}
