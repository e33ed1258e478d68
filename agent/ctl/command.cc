// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/command.h"

#include <iostream>

namespace corral::ctl {

int Fail(const absl::Status& status) {
  std::cerr << "corralctl: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? kUsage : kFailure;
}

void Print(const nlohmann::ordered_json& json) {
  std::cout << json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";
}

}  // namespace corral::ctl
