// SPDX-License-Identifier: Apache-2.0
#include "agent/class/handover_step.h"

namespace corral {

void Reached(HandoverStep /*step*/) {}

}  // namespace corral
