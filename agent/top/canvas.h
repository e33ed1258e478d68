// SPDX-License-Identifier: Apache-2.0
// A page of styled characters, before any terminal has seen it. A value; any thread.
#ifndef CORRAL_AGENT_TOP_CANVAS_H_
#define CORRAL_AGENT_TOP_CANVAS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace corral::top {

// How a character looks. Nothing is said by it alone: a terminal without colours shows the same.
struct Style {
  enum class Ink { kPlain, kBold, kDim, kAlert, kReverse };
  Ink ink = Ink::kPlain;
  int colour = -1;  // of a trust domain, counted from 0; -1: none

  friend bool operator==(const Style&, const Style&) = default;
};

struct Cell {
  char character = ' ';
  Style style;
};

class Canvas {
 public:
  Canvas(int rows, int columns)
      : rows_(rows), columns_(columns), cells_(static_cast<size_t>(rows) * columns) {}

  int rows() const { return rows_; }
  int columns() const { return columns_; }
  const Cell& at(int row, int column) const { return cells_[row * columns_ + column]; }
  // What lies outside of the page is lost; bytes that are not printable become '?'.
  void Put(int row, int column, absl::string_view text, Style style = {});
  // A row as it would be read, without blanks at its end.
  std::string Line(int row) const;

 private:
  int rows_;
  int columns_;
  std::vector<Cell> cells_;
};

}  // namespace corral::top

#endif  // CORRAL_AGENT_TOP_CANVAS_H_
