// SPDX-License-Identifier: Apache-2.0
#include "agent/report/chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "agent/pictures/svg.h"

namespace corral::report {
namespace {

using pictures::Escape;
using pictures::kPx;
using pictures::Px;

constexpr int64_t kWidth = 960 * kPx;
constexpr int64_t kLeft = 54 * kPx;
constexpr int64_t kPlot = kWidth - kLeft - 16 * kPx;
constexpr int64_t kBelow = 24 * kPx;   // for the axis of time
constexpr int64_t kLegend = 24 * kPx;  // above the plot

std::string Begin(const std::string& id, int64_t width, int64_t height, const std::string& title,
                  const std::string& description) {
  return absl::StrCat("<svg class=\"chart\" role=\"img\" aria-labelledby=\"", id, "-t ", id,
                      "-d\" viewBox=\"0 0 ", Px(width), " ", Px(height), "\">\n<title id=\"", id,
                      "-t\">", Escape(title), "</title><desc id=\"", id, "-d\">",
                      Escape(description), "</desc>\n");
}

std::string Text(int64_t x, int64_t y, const char* anchor, const std::string& text) {
  return absl::StrCat("<text x=\"", Px(x), "\" y=\"", Px(y), "\" text-anchor=\"", anchor, "\">",
                      Escape(text), "</text>\n");
}

// Where figures over time have their places. x and y are the plot's corner.
struct Frame {
  int64_t x, y, width, height;
  double top;

  int64_t X(size_t slice, size_t slices) const {
    return x + width * static_cast<int64_t>(slice) / static_cast<int64_t>(slices);
  }
  int64_t Y(double value) const {
    const double part = top > 0 ? std::clamp(value / top, 0.0, 1.0) : 0;
    return y + height - std::llround(part * static_cast<double>(height));
  }
};

// Steps, because a slice's figure is of all of it; interrupted where nothing is known.
std::string Path(const Frame& frame, const Series& values, bool filled) {
  std::string path;
  const auto end_area = [&] {
    if (filled) absl::StrAppend(&path, "V", Px(frame.y + frame.height), "z");
  };
  bool open = false;
  int64_t last = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] < 0) {
      if (open) end_area();
      open = false;
      continue;
    }
    const int64_t x = frame.X(i, values.size()), y = frame.Y(values[i]);
    if (!open) {
      absl::StrAppend(&path, "M", Px(x), " ", Px(filled ? frame.y + frame.height : y));
      if (filled) absl::StrAppend(&path, "V", Px(y));
    } else if (y != last) {
      absl::StrAppend(&path, "H", Px(x), "V", Px(y));
    }
    const bool ends = i + 1 == values.size() || values[i + 1] < 0;
    if (ends) absl::StrAppend(&path, "H", Px(frame.X(i + 1, values.size())));
    open = true;
    last = y;
  }
  if (open) end_area();
  return path;
}

std::string Curve(const Frame& frame, const Line& line) {
  std::string out;
  if (line.filled) {
    absl::StrAppend(&out, "<path class=\"", line.style, " area\" d=\"",
                    Path(frame, *line.values, true), "\"/>\n");
  }
  absl::StrAppend(&out, "<path class=\"", line.style, " line\" d=\"",
                  Path(frame, *line.values, false), "\"/>\n");
  return out;
}

double MostOf(const Series& values) {
  return values.empty() ? 0 : *std::max_element(values.begin(), values.end());
}

// A round number of CPUs that `most` fits below, and the distance of marks.
std::pair<double, double> Scale(double most) {
  double step = 0.001;
  for (int i = 0; most / step > 5; ++i) step *= i % 3 == 1 ? 2.5 : 2;
  return {std::max(std::ceil(most / step - 1e-9), 1.0) * step, step};
}

std::string Marks(const Frame& frame, double step) {
  std::string out;
  const int digits = step >= 1 ? 0 : step >= 0.1 ? 1 : step >= 0.01 ? 2 : 3;
  for (int i = 0; i * step <= frame.top * 1.0001; ++i) {
    const int64_t y = frame.Y(i * step);
    absl::StrAppend(
        &out, "<path class=\"grid\" d=\"M", Px(frame.x), " ", Px(y), "H", Px(frame.x + frame.width),
        "\"/>\n",
        Text(frame.x - 6 * kPx, y + 4 * kPx, "end", absl::StrFormat("%.*f", digits, i * step)));
  }
  return out;
}

absl::Duration TimeStep(const Span& span) {
  const absl::Duration all = span.until - span.from;
  if (span.simulated) return absl::Nanoseconds(pictures::StepOf(absl::ToInt64Nanoseconds(all), 8));
  for (const int64_t s : {1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800,
                          21600, 43200, 86400}) {
    if (all / absl::Seconds(s) <= 8) return absl::Seconds(s);
  }
  return absl::Ceil(all / 8, absl::Hours(24));
}

std::string TimeAxis(const Frame& frame, const Span& span) {
  std::string out;
  const absl::Duration all = span.until - span.from;
  if (all <= absl::ZeroDuration()) return out;
  const absl::Duration step = TimeStep(span);
  // Marks are at round times of the zone.
  const absl::Duration shift =
      span.simulated ? absl::ZeroDuration() : absl::Seconds(span.zone.At(span.from).offset);
  absl::Time at =
      absl::UnixEpoch() + absl::Ceil(span.from - absl::UnixEpoch() + shift, step) - shift;
  for (; at <= span.until; at += step) {
    const double part = absl::FDivDuration(at - span.from, all);
    const int64_t x = frame.x + std::llround(part * static_cast<double>(frame.width));
    const int64_t bottom = frame.y + frame.height;
    absl::StrAppend(&out, "<path class=\"grid\" d=\"M", Px(x), " ", Px(frame.y), "V", Px(bottom),
                    "\"/>\n", Text(x, bottom + 16 * kPx, "middle", TimeText(span, at, step)));
  }
  return out;
}

std::string Legend(const Chart& chart) {
  std::string out;
  int64_t x = kLeft;
  for (const Line& line : chart.lines) {
    const std::string at = absl::StrCat("M", Px(x), " ", Px(11 * kPx), "h", Px(22 * kPx));
    if (line.filled) {
      absl::StrAppend(&out, "<path class=\"", line.style, " area\" d=\"M", Px(x), " ", Px(6 * kPx),
                      "h", Px(22 * kPx), "v", Px(10 * kPx), "h-", Px(22 * kPx), "z\"/>\n");
    }
    absl::StrAppend(&out, "<path class=\"", line.style, " line\" d=\"", at, "\"/>\n",
                    Text(x + 28 * kPx, 15 * kPx, "start", line.name));
    x += 28 * kPx + static_cast<int64_t>(line.name.size()) * 7 * kPx + 26 * kPx;
  }
  return out;
}

constexpr int kShades = 5;
// Of CPUs that wait, from what on a shade counts.
constexpr std::array<double, kShades> kShadeFrom = {0.01, 0.1, 0.25, 0.5, 1.0};

int64_t RowHeight(size_t cores) {
  return kPx * (cores <= 16 ? 14 : cores <= 64 ? 8 : cores <= 128 ? 5 : 3);
}

std::string ShadeLegend() {
  std::string out = Text(kLeft, 15 * kPx, "start", "vCPUs waiting beside an idle sibling, from:");
  int64_t x = kLeft + 290 * kPx;
  for (int shade = 0; shade < kShades; ++shade) {
    absl::StrAppend(
        &out, "<rect class=\"shade", shade, "\" x=\"", Px(x), "\" y=\"", Px(4 * kPx),
        "\" width=\"22\" height=\"13\"/>\n",
        Text(x + 28 * kPx, 15 * kPx, "start", absl::StrFormat("%.3g", kShadeFrom[shade])));
    x += 80 * kPx;
  }
  return out;
}

// Neighbours of the same shade are one rectangle.
void ShadeRow(const Frame& row, const Series& values, std::array<std::string, kShades>& paths) {
  const auto shade_of = [](double value) {
    int shade = -1;
    while (shade + 1 < kShades && value >= kShadeFrom[shade + 1]) ++shade;
    return shade;
  };
  for (size_t i = 0; i < values.size();) {
    const int shade = shade_of(values[i]);
    size_t end = i + 1;
    while (end < values.size() && shade_of(values[end]) == shade) ++end;
    if (shade >= 0) {
      const int64_t x = row.X(i, values.size()), width = row.X(end, values.size()) - x;
      absl::StrAppend(&paths[shade], "M", Px(x), " ", Px(row.y), "h", Px(width), "v",
                      Px(row.height), "h-", Px(width), "z");
    }
    i = end;
  }
}

}  // namespace

std::string TimeText(const Span& span, absl::Time at, absl::Duration step) {
  if (span.simulated) {
    const double seconds = absl::ToDoubleSeconds(at - absl::UnixEpoch());
    return absl::StrFormat("%.6g s", seconds);
  }
  const char* const format = step < absl::Minutes(1)   ? "%H:%M:%S"
                             : step >= absl::Hours(24) ? "%d %b"
                                                       : "%H:%M";
  return absl::FormatTime(format, at, span.zone);
}

std::string Draw(const Chart& chart, const Span& span) {
  double most = chart.top;
  for (const Line& line : chart.lines) most = std::max(most, MostOf(*line.values));
  const auto [top, step] = Scale(most);
  const int64_t height = chart.height * kPx;
  const Frame frame = {kLeft, kLegend, kPlot, height, top};
  std::string out =
      Begin(chart.id, kWidth, kLegend + height + kBelow, chart.title, chart.description);
  absl::StrAppend(&out, Legend(chart), Marks(frame, step), TimeAxis(frame, span));
  for (const Line& line : chart.lines) absl::StrAppend(&out, Curve(frame, line));
  absl::StrAppend(&out, "</svg>\n");
  return out;
}

std::string DrawSmall(const DomainSummary& domain) {
  const double top =
      std::max({MostOf(domain.used_over_time), MostOf(domain.guaranteed_over_time), 0.01});
  const Frame frame = {kPx, kPx, 138 * kPx, 24 * kPx, top};
  std::string out = "<svg class=\"small\" aria-hidden=\"true\" viewBox=\"0 0 140 26\">";
  absl::StrAppend(&out, Curve(frame, {&domain.used_over_time, "used", "", true}));
  if (MostOf(domain.guaranteed_over_time) > 0)
    absl::StrAppend(&out, Curve(frame, {&domain.guaranteed_over_time, "guaranteed", "", false}));
  return out + "</svg>";
}

std::string DrawCores(const std::vector<CoreSummary>& cores, const std::string& description,
                      const Span& span) {
  const int64_t row = RowHeight(cores.size());
  std::array<std::string, kShades> paths;
  std::string labels;
  int64_t y = kLegend, free_from = 0;
  for (size_t i = 0; i < cores.size(); ++i) {
    if (i > 0 && cores[i].node != cores[i - 1].node) y += 6 * kPx;
    ShadeRow({kLeft, y, kPlot, row - (row >= 5 * kPx ? kPx : 0), 1}, cores[i].forced_idle_over_time,
             paths);
    const bool first = i == 0 || cores[i].node != cores[i - 1].node;
    if (first || y >= free_from) {
      const std::string name = absl::StrCat(cores[i].id);
      absl::StrAppend(&labels, Text(kLeft - 6 * kPx, y + row / 2 + 4 * kPx, "end", name));
      if (first) {
        absl::StrAppend(&labels,
                        Text(0, y + row / 2 + 4 * kPx, "start", absl::StrCat("n", cores[i].node)));
      }
      free_from = y + 13 * kPx;
    }
    y += row;
  }
  const Frame all = {kLeft, kLegend, kPlot, y - kLegend, 1};
  std::string out = Begin("cores", kWidth, y + kBelow, "Forced idle, core by core", description);
  absl::StrAppend(&out, ShadeLegend(), "<rect class=\"ground\" x=\"", Px(kLeft), "\" y=\"",
                  Px(kLegend), "\" width=\"", Px(kPlot), "\" height=\"", Px(all.height), "\"/>\n");
  for (int shade = 0; shade < kShades; ++shade) {
    if (!paths[shade].empty())
      absl::StrAppend(&out, "<path class=\"shade", shade, "\" d=\"", paths[shade], "\"/>\n");
  }
  absl::StrAppend(&out, labels, TimeAxis(all, span), "</svg>\n");
  return out;
}

}  // namespace corral::report
