// SPDX-License-Identifier: Apache-2.0
// A chart of lines, as SVG: what is measured at some values of one quantity, for several subjects.
// The same points give the same bytes, so a picture in docs/ can be compared with what a test
// measures.
#ifndef CORRAL_TESTS_SIM_LINE_CHART_H_
#define CORRAL_TESTS_SIM_LINE_CHART_H_

#include <string>
#include <utility>
#include <vector>

namespace corral {

struct LineChart {
  struct Line {
    std::string name;
    std::vector<std::pair<double, double>> points;  // what is above the axes is cut off there
  };
  // Of an axis, from the first mark to the last one, which get a number each.
  struct Axis {
    std::string title;
    std::vector<double> marks;
    bool logarithmic = false;  // marks above 0
  };
  std::string title;
  Axis x;
  Axis y;
  std::vector<Line> lines;  // at most 7
};

std::string ToSvg(const LineChart& chart);

}  // namespace corral

#endif  // CORRAL_TESTS_SIM_LINE_CHART_H_
