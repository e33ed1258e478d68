// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/line_chart.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace corral {
namespace {

constexpr int kWidth = 860;
constexpr int kHeight = 460;
constexpr int kLeft = 80;
constexpr int kRight = kWidth - 30;
constexpr int kTop = 40;
constexpr int kBottom = kHeight - 60;

// After Okabe and Ito; whoever sees no colours has the dashes.
struct Look {
  const char* colour;
  const char* dashes;
};
constexpr Look kLooks[] = {{"#0072B2", "none"},     {"#D55E00", "8 3"},  {"#009E73", "2 3"},
                           {"#CC79A7", "10 3 2 3"}, {"#E69F00", "14 4"}, {"#56B4E9", "5 5"},
                           {"#000000", "1 5"}};

std::string Escape(const std::string& text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}});
}

// From 0 to 1 on the axis.
double Place(const LineChart::Axis& axis, double value) {
  const auto scale = [&](double v) { return axis.logarithmic ? std::log10(v) : v; };
  const double first = scale(axis.marks.front());
  const double last = scale(axis.marks.back());
  const double least = axis.logarithmic ? std::max(value, axis.marks.front()) : value;
  return std::clamp((scale(least) - first) / (last - first), 0.0, 1.0);
}
double X(const LineChart& chart, double value) {
  return kLeft + Place(chart.x, value) * (kRight - kLeft);
}
double Y(const LineChart& chart, double value) {
  return kBottom - Place(chart.y, value) * (kBottom - kTop);
}

void AddText(std::string& svg, double x, double y, const char* anchor, const std::string& text) {
  absl::StrAppendFormat(&svg, "<text x='%.1f' y='%.1f' text-anchor='%s'>%s</text>\n", x, y, anchor,
                        Escape(text));
}

void AddStroke(std::string& svg, double x1, double y1, double x2, double y2, const Look& look) {
  absl::StrAppendFormat(&svg,
                        "<path d='M%.1f %.1fL%.1f %.1f' stroke='%s' stroke-dasharray='%s'/>\n", x1,
                        y1, x2, y2, look.colour, look.dashes);
}

void AddAxes(std::string& svg, const LineChart& chart) {
  constexpr Look kGrid = {"#dddddd", "none"};
  for (const double mark : chart.x.marks) {
    AddStroke(svg, X(chart, mark), kTop, X(chart, mark), kBottom, kGrid);
    AddText(svg, X(chart, mark), kBottom + 20, "middle", absl::StrFormat("%g", mark));
  }
  for (const double mark : chart.y.marks) {
    AddStroke(svg, kLeft, Y(chart, mark), kRight, Y(chart, mark), kGrid);
    AddText(svg, kLeft - 8, Y(chart, mark) + 4, "end", absl::StrFormat("%g", mark));
  }
  AddText(svg, (kLeft + kRight) / 2.0, kHeight - 15, "middle", chart.x.title);
  AddText(svg, 10, kTop - 14, "start", chart.y.title);
  AddText(svg, kRight, kTop - 14, "end", chart.title);
}

// A line ends where it leaves the chart: beyond it there is nothing to be seen.
void AddLine(std::string& svg, const LineChart& chart, size_t index) {
  const LineChart::Line& line = chart.lines[index];
  const Look& look = kLooks[index];
  std::string path;
  for (const auto& [x, y] : line.points) {
    absl::StrAppendFormat(&path, "%s%.1f %.1f", path.empty() ? "M" : "L", X(chart, x), Y(chart, y));
    if (y > chart.y.marks.back()) break;
  }
  absl::StrAppendFormat(
      &svg, "<path d='%s' fill='none' stroke='%s' stroke-width='2' stroke-dasharray='%s'/>\n", path,
      look.colour, look.dashes);
  const double y = kTop + 18.0 * static_cast<double>(index + 1);
  AddStroke(svg, kLeft + 12, y - 4, kLeft + 52, y - 4, look);
  AddText(svg, kLeft + 60, y, "start", line.name);
}

}  // namespace

std::string ToSvg(const LineChart& chart) {
  std::string svg = absl::StrFormat(
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' font-family='sans-serif' "
      "font-size='12'>\n<rect width='%d' height='%d' fill='#ffffff'/>\n",
      kWidth, kHeight, kWidth, kHeight);
  AddAxes(svg, chart);
  for (size_t i = 0; i < std::min(chart.lines.size(), std::size(kLooks)); ++i)
    AddLine(svg, chart, i);
  return svg + "</svg>\n";
}

}  // namespace corral
