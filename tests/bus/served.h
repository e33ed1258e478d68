// SPDX-License-Identifier: Apache-2.0
// A BusService at work, with a handler that keeps what it is asked. Any thread may ask it.
#ifndef CORRAL_TESTS_BUS_SERVED_H_
#define CORRAL_TESTS_BUS_SERVED_H_

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "agent/bus/bus_service.h"

namespace corral {

// Serves in a thread of its own, as corrald's loop does.
class Served {
 public:
  explicit Served(BusState state) {
    service_ = BusService::Open([this](const nlohmann::json& request) { return Handle(request); },
                                std::move(state))
                   .value();
    thread_ = std::thread([this] { Run(); });
  }
  ~Served() {
    stop_ = true;
    thread_.join();
  }
  void Update(BusState state) {
    std::lock_guard lock(mutex_);
    next_ = std::move(state);
  }
  std::vector<nlohmann::json> requests() {
    std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  absl::StatusOr<nlohmann::json> Handle(const nlohmann::json& request) {
    std::lock_guard lock(mutex_);
    requests_.push_back(request);
    if (request.value("enclave", "") == "none")
      return absl::NotFoundError("there is no enclave \"none\"; there are: vms");
    return nlohmann::json::object();
  }
  void Run() {
    while (!stop_) {
      pollfd fd = service_->events();
      poll(&fd, 1, 10);
      ASSERT_TRUE(service_->Process().ok());
      std::optional<BusState> state;
      {
        std::lock_guard lock(mutex_);
        state.swap(next_);
      }
      if (state) service_->Update(*std::move(state));
    }
  }

  std::unique_ptr<BusService> service_;
  std::mutex mutex_;
  std::vector<nlohmann::json> requests_;
  std::optional<BusState> next_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_BUS_SERVED_H_
