// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/bus_link.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace corral {

pollfd BusLink::events() const {
  return service_ == nullptr ? pollfd{.fd = -1} : service_->events();
}

std::string BusLink::Poll(Time now) {
  if (service_ != nullptr) {
    if (const absl::Status status = service_->Process(); !status.ok()) {
      service_.reset();
      next_ = now + kRetry;
      return std::string(status.message());
    }
  }
  if (now < next_) return "";
  if (service_ != nullptr) {
    service_->Update(look_());
    next_ = now + kLook;
    return "";
  }
  absl::StatusOr<std::unique_ptr<BusService>> service = BusService::Open(handler_, look_());
  next_ = now + (service.ok() ? kLook : kRetry);
  if (service.ok()) {
    service_ = *std::move(service);
    return std::exchange(told_absent_, false) ? "on the system bus now" : "";
  }
  if (std::exchange(told_absent_, true)) return "";
  return absl::StrCat(service.status().message(), "; corralctl does without it");
}

}  // namespace corral
