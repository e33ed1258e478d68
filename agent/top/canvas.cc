// SPDX-License-Identifier: Apache-2.0
#include "agent/top/canvas.h"

#include "absl/strings/ascii.h"

namespace corral::top {

void Canvas::Put(int row, int column, absl::string_view text, Style style) {
  if (row < 0 || row >= rows_) return;
  for (const char c : text) {
    if (column >= columns_) return;
    if (column >= 0) cells_[row * columns_ + column] = {absl::ascii_isprint(c) ? c : '?', style};
    ++column;
  }
}

std::string Canvas::Line(int row) const {
  std::string line;
  for (int column = 0; column < columns_; ++column) line += at(row, column).character;
  absl::StripTrailingAsciiWhitespace(&line);
  return line;
}

}  // namespace corral::top
