// SPDX-License-Identifier: Apache-2.0
// Commands that wait, and end well when the operator interrupts them (SIGINT, SIGTERM).
#ifndef CORRAL_AGENT_CTL_INTERRUPTS_H_
#define CORRAL_AGENT_CTL_INTERRUPTS_H_

#include "kernel/types.h"

namespace corral {

// From now on they end nothing by themselves, and wait for one of the others. In the calling thread
// and those that it starts later.
void HoldInterrupts();

// Waits; whether an interrupt came before the time was over.
bool InterruptedWithin(Duration time);

void AwaitInterrupt();

}  // namespace corral

#endif  // CORRAL_AGENT_CTL_INTERRUPTS_H_
