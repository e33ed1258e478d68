// SPDX-License-Identifier: Apache-2.0
// Shows pages on a terminal by ncurses, and does what keys say, until somebody quits. One thread,
// and one screen per process.
#ifndef CORRAL_AGENT_TOP_SCREEN_H_
#define CORRAL_AGENT_TOP_SCREEN_H_

#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/top/page.h"

namespace corral::top {

// What there is to see now. An error is shown instead, until it is over.
using Look = std::function<absl::StatusOr<Page>()>;

// Looks every `interval`. FailedPrecondition: this is no terminal that can show it.
absl::Status RunScreen(const Look& look, Duration interval);

// Does what a key says. False: it ends the screen.
bool Press(int key, const Page& page, Choice& choice);

}  // namespace corral::top

#endif  // CORRAL_AGENT_TOP_SCREEN_H_
