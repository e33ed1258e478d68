// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/command.h"

#include <iostream>

namespace corral::ctl {

int Fail(const absl::Status& status) {
  std::cerr << "corralctl: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? kUsage : kFailure;
}

}  // namespace corral::ctl
