// SPDX-License-Identifier: Apache-2.0
// The steps at which a replacement of the class may come to a sudden end. Nothing happens here; a
// build for tests (tests/switch/deadly_step.cc) lets the process die.
#ifndef CORRAL_AGENT_CLASS_HANDOVER_STEP_H_
#define CORRAL_AGENT_CLASS_HANDOVER_STEP_H_

namespace corral {

enum class HandoverStep {
  // Of the process that hands over, corrald.
  kWrittenDown,  // which VMs are about to be stopped
  kStopped,      // they are
  kCaptured,     // and what the class knows is written down
  kSaidGo,       // the other process goes ahead
  // Of the process that takes over, corral-class.
  kAboutToLeave,  // the old class is still there
  kLeft,          // there is none
  kEntered,       // the new one knows nothing
  kRestored,      // it knows all, and the VMs wait
  kResumed,       // they run, and it is still written down
};

void Reached(HandoverStep step);

}  // namespace corral

#endif  // CORRAL_AGENT_CLASS_HANDOVER_STEP_H_
