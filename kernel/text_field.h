// SPDX-License-Identifier: Apache-2.0
// Text fields of the class's structs: zero-padded, and not terminated when full. For names and
// messages alike; one that the class may write meanwhile is as good as the moment.
#ifndef CORRAL_KERNEL_TEXT_FIELD_H_
#define CORRAL_KERNEL_TEXT_FIELD_H_

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "absl/strings/string_view.h"

namespace corral {

// Valid as long as `field`.
template <size_t N>
absl::string_view TextOf(const char (&field)[N]) {
  return absl::string_view(field, strnlen(field, N));
}

// What does not fit is cut off, so that the field ends in a zero.
template <size_t N>
void SetText(absl::string_view text, char (&field)[N]) {
  memset(field, 0, N);
  memcpy(field, text.data(), std::min(text.size(), N - 1));
}

}  // namespace corral

#endif  // CORRAL_KERNEL_TEXT_FIELD_H_
