// SPDX-License-Identifier: Apache-2.0
// What an agent may do beyond its descriptors. It is started by corrald, which may do much more.
#ifndef CORRAL_AGENT_MAIN_PRIVILEGES_H_
#define CORRAL_AGENT_MAIN_PRIVILEGES_H_

#include "absl/status/status.h"

namespace corral {

// From now on this process has no capability but CAP_SYS_NICE, for SCHED_FIFO, and can get none
// back. To be called while it has one thread.
absl::Status DropPrivileges();

}  // namespace corral

#endif  // CORRAL_AGENT_MAIN_PRIVILEGES_H_
