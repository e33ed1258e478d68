// SPDX-License-Identifier: Apache-2.0
// Figures as all of corralctl's tables write them.
#ifndef CORRAL_AGENT_CTL_FIGURES_H_
#define CORRAL_AGENT_CTL_FIGURES_H_

#include <string>

#include "kernel/types.h"

namespace corral::ctl {

// Four significant digits at most, so that columns stay narrow: "0", "812 ns", "3.21 ms", "12.7 s".
std::string Human(Duration duration);

// "0%" of nothing.
std::string Percent(Duration part, Duration whole);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_FIGURES_H_
