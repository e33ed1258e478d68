// SPDX-License-Identifier: Apache-2.0
// Text of unknown origin, made fit to stand in a line of a log or of a terminal.
#ifndef CORRAL_KERNEL_ONE_LINE_H_
#define CORRAL_KERNEL_ONE_LINE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace corral {

// What a file says may be anything: unprintable bytes become '?', line ends "; ", and what is too
// long for a line is cut.
std::string OneLine(absl::string_view text);

}  // namespace corral

#endif  // CORRAL_KERNEL_ONE_LINE_H_
