// SPDX-License-Identifier: Apache-2.0
// A number that rapidcheck draws, and names when a law fails. Tests only; within a property.
#ifndef CORRAL_TESTS_SIM_DRAW_H_
#define CORRAL_TESTS_SIM_DRAW_H_

#include <rapidcheck.h>

namespace corral {

// From `low` to `high`, both included.
inline int Draw(int low, int high, const char* what) {
  return *rc::gen::inRange(low, high + 1).as(what);
}

}  // namespace corral

#endif  // CORRAL_TESTS_SIM_DRAW_H_
