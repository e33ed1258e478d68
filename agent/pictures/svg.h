// SPDX-License-Identifier: Apache-2.0
// What all pictures that Corral draws have in common: text that cannot break out of XML or HTML,
// positions, colours, and where an axis has its marks.
//
// Positions are integers, in tenths of a pixel, so that the same figures give the same bytes on any
// machine. Pure functions; any thread.
#ifndef CORRAL_AGENT_PICTURES_SVG_H_
#define CORRAL_AGENT_PICTURES_SVG_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace corral::pictures {

inline constexpr int64_t kPx = 10;

// "12.3" of 123 tenths.
std::string Px(int64_t tenths);

// For text and for attributes in quotation marks. Names may come from anywhere: bytes that are no
// UTF-8, and characters that XML does not have, are replaced.
std::string Escape(absl::string_view text);

// After Okabe and Ito, whose black would be taken for text: seven that the colour-blind tell apart,
// and what is legible on each.
struct Colour {
  const char* fill;
  const char* text;
};
inline constexpr Colour kPalette[] = {{"#0072B2", "#fff"}, {"#E69F00", "#000"}, {"#009E73", "#fff"},
                                      {"#CC79A7", "#000"}, {"#56B4E9", "#000"}, {"#D55E00", "#fff"},
                                      {"#F0E442", "#000"}};
inline constexpr uint32_t kColours = 7;
static_assert(sizeof(kPalette) / sizeof(kPalette[0]) == kColours);

// The distance of an axis's marks: 1, 2 or 5 times a power of ten, for at most `most` of them.
int64_t StepOf(int64_t span, int64_t most = 10);

}  // namespace corral::pictures

#endif  // CORRAL_AGENT_PICTURES_SVG_H_
