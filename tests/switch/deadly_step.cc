// SPDX-License-Identifier: Apache-2.0
// In the place of agent/class/handover_step.cc: sudden death at the step whose number is in
// CORRAL_DIE_AT; and what each step took, if CORRAL_STEP_TIMES is set.
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "agent/class/handover_step.h"

namespace corral {

void Reached(HandoverStep step) {
  if (getenv("CORRAL_STEP_TIMES") != nullptr) {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    fprintf(stderr, "step %d at %lld ms\n", static_cast<int>(step),
            static_cast<long long>(now.tv_sec) * 1000 + now.tv_nsec / 1000000);
  }
  const char* const last = getenv("CORRAL_DIE_AT");
  if (last != nullptr && std::to_string(static_cast<int>(step)) == last) kill(getpid(), SIGKILL);
}

}  // namespace corral
