// SPDX-License-Identifier: Apache-2.0
// How long runs of a test tell it to do more, or something else.
#ifndef CORRAL_TESTS_ENVIRONMENT_H_
#define CORRAL_TESTS_ENVIRONMENT_H_

#include <cstdlib>
#include <string>

namespace corral {

// The number that the variable has; what is none ends the test.
template <typename Number>
Number FromEnvironment(const char* name, Number otherwise) {
  const char* const text = getenv(name);
  return text == nullptr ? otherwise : static_cast<Number>(std::stoull(text));
}

// The text that it has; "" where it is not set.
inline std::string FromEnvironment(const char* name) {
  const char* const text = getenv(name);
  return text == nullptr ? "" : text;
}

}  // namespace corral

#endif  // CORRAL_TESTS_ENVIRONMENT_H_
