// SPDX-License-Identifier: Apache-2.0
// Positions are those of agent/pictures/svg.h. Each end of a stint is rounded to one of them, so
// that of stints that are too short to be seen, the right share is, and a picture's size has a
// bound whatever the window is.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/pictures/svg.h"
#include "agent/simulate/timeline.h"
#include "kernel/cpu_set.h"

namespace corral {
namespace {

using pictures::Escape;
using pictures::kColours;
using pictures::kPalette;
using pictures::kPx;
using pictures::Px;

constexpr int64_t kWidth = 1200 * kPx;
constexpr int64_t kLeft = 100 * kPx;
constexpr int64_t kPlot = kWidth - kLeft - 40 * kPx;
constexpr int64_t kLine = 18 * kPx;  // of text

constexpr const char* kHostColour = "#999999";
constexpr uint32_t kForced = UINT32_MAX;  // beside the VMs' numbers

constexpr uint32_t kLooks = 3 * kColours;  // plain, dotted, barred

uint32_t Look(uint32_t vm) { return (vm - 1) % kLooks; }

std::string Fill(uint32_t vm) {
  if (vm == 0) return kHostColour;
  if (vm == kForced) return "url(#forced)";
  const uint32_t look = Look(vm);
  return look < kColours ? kPalette[look].fill : absl::StrCat("url(#vm", look, ")");
}

std::string Ms(Time time) {
  const int64_t ns = time.time_since_epoch().count();
  std::string text = absl::StrCat(ns / 1000000, ".", absl::Dec(ns % 1000000, absl::kZeroPad6));
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text + " ms";
}

class Drawing {
 public:
  Drawing(const Timeline& timeline, const Timeline::Picture& picture);
  std::string Draw();

 private:
  using Stint = Timeline::Stint;
  struct Span {
    Time from, to;
  };
  struct Cell {
    int64_t x, end;
    uint32_t vm;
    pid_t tid;
  };

  int64_t X(Time time) const;
  void Text(int64_t x, int64_t y, int64_t size, absl::string_view more, const std::string& text);
  void Box(int64_t x, int64_t y, int64_t width, int64_t height, const std::string& fill);
  void Patterns();
  void Head();
  void Legend();
  void LegendEntry(int64_t* x, const std::string& fill, const std::string& name);
  void Rows();
  void Axis();
  void Tick(Time time, int64_t step);
  void Core(size_t core);
  void Labels(size_t core);
  void Row(int cpu);
  void CellText(const Cell& cell);
  std::string Rect(int64_t x, int64_t width) const;
  std::vector<Span> ForcedIdle(const sim::SimCore& core, int cpu) const;

  const Timeline& timeline_;
  const Timeline::Picture& picture_;
  const Time from_, to_;
  std::vector<std::vector<Stint>> stints_;  // by CPU, within the window
  std::vector<uint32_t> vms_;               // that are seen or named
  int64_t row_ = 0;                         // its height
  int64_t y_ = 0;                           // what is above is taken
  int64_t plot_y_ = 0;
  int64_t label_y_ = 0;  // where the next core's may be, so that they do not overlap
  std::string out_;
};

Drawing::Drawing(const Timeline& timeline, const Timeline::Picture& picture)
    : timeline_(timeline),
      picture_(picture),
      from_(std::max(picture.from, timeline.begin())),
      to_(std::min(picture.to, timeline.end())) {
  size_t nr_cpus = 0;
  for (const sim::SimCore& core : timeline.cores()) {
    nr_cpus += core.cpus.size();
    for (const CpuId cpu : core.cpus)
      stints_.resize(std::max(stints_.size(), static_cast<size_t>(cpu.value()) + 1));
  }
  row_ = kPx * (nr_cpus <= 16 ? 20 : nr_cpus <= 64 ? 10 : nr_cpus <= 128 ? 6 : 4);
  for (const auto& [vm, name] : picture.vm_names) vms_.push_back(vm);
  for (Stint stint : timeline.Stints()) {
    stint.from = std::max(stint.from, from_);
    stint.to = std::min(stint.to, to_);
    if (stint.from >= stint.to) continue;
    stints_[stint.cpu].push_back(stint);
    vms_.push_back(stint.vm);
  }
  std::sort(vms_.begin(), vms_.end());
  vms_.erase(std::unique(vms_.begin(), vms_.end()), vms_.end());
}

// Of a day, the product does not fit into 64 bits.
int64_t Drawing::X(Time time) const {
  const __int128 span = (to_ - from_).count();
  const __int128 since = (time - from_).count();
  return kLeft + static_cast<int64_t>((2 * since * kPlot + span) / (2 * span));
}

void Drawing::Text(int64_t x, int64_t y, int64_t size, absl::string_view more,
                   const std::string& text) {
  absl::StrAppend(&out_, "<text x=\"", Px(x), "\" y=\"", Px(y), "\" font-size=\"", Px(size), "\"",
                  more, ">", Escape(text), "</text>\n");
}

void Drawing::Box(int64_t x, int64_t y, int64_t width, int64_t height, const std::string& fill) {
  absl::StrAppend(&out_, "<rect x=\"", Px(x), "\" y=\"", Px(y), "\" width=\"", Px(width),
                  "\" height=\"", Px(height), "\" fill=\"", fill, "\"/>\n");
}

void Drawing::Patterns() {
  constexpr absl::string_view kBegin = "width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\"";
  absl::StrAppend(&out_, "<defs>\n<pattern id=\"forced\" ", kBegin,
                  " patternTransform=\"rotate(45)\"><rect width=\"4\" height=\"4\" fill=\"#fff\"/>"
                  "<rect width=\"1.4\" height=\"4\" fill=\"#555\"/></pattern>\n");
  uint32_t drawn = 0;  // a bit for each look
  for (const uint32_t vm : vms_) {
    if (vm == 0 || Look(vm) < kColours || (drawn & 1u << Look(vm)) != 0) continue;
    drawn |= 1u << Look(vm);
    const pictures::Colour& colour = kPalette[Look(vm) % kColours];
    absl::StrAppend(&out_, "<pattern id=\"vm", Look(vm), "\" ", kBegin,
                    "><rect width=\"4\" height=\"4\" fill=\"", colour.fill, "\"/>",
                    Look(vm) < 2 * kColours ? "<circle cx=\"2\" cy=\"2\" r=\"1\""
                                            : "<rect width=\"1\" height=\"4\"",
                    " fill=\"", colour.text, "\"/></pattern>\n");
  }
  absl::StrAppend(&out_, "</defs>\n");
}

void Drawing::Head() {
  y_ = 10 * kPx;
  if (!picture_.title.empty()) {
    Text(10 * kPx, y_ + 14 * kPx, 15 * kPx, " font-weight=\"bold\"", picture_.title);
    y_ += 22 * kPx;
  }
  if (from_ >= to_) {
    Text(10 * kPx, y_ + 12 * kPx, 12 * kPx, "", "Nothing was recorded in this window.");
    y_ += kLine;
  } else {
    Text(10 * kPx, y_ + 12 * kPx, 12 * kPx, "", absl::StrCat("From ", Ms(from_), " to ", Ms(to_)));
    y_ += kLine;
  }
  if (timeline_.cut_off().has_value()) {
    Text(10 * kPx, y_ + 12 * kPx, 12 * kPx, " fill=\"#b00\"",
         absl::StrCat("The recording was cut off at ", Ms(*timeline_.cut_off()), ", after ",
                      timeline_.most_stints(), " stints."));
    y_ += kLine;
  }
}

void Drawing::LegendEntry(int64_t* x, const std::string& fill, const std::string& name) {
  // No more than its bytes at an em's two thirds: how wide text will be, only its reader knows.
  const int64_t width = static_cast<int64_t>(name.size()) * 7 * kPx + 40 * kPx;
  if (*x > 10 * kPx && *x + width > kWidth) {
    *x = 10 * kPx;
    y_ += kLine;
  }
  Box(*x, y_ + 3 * kPx, 16 * kPx, 12 * kPx, fill);
  Text(*x + 20 * kPx, y_ + 13 * kPx, 11 * kPx, "", name);
  *x += width;
}

void Drawing::Legend() {
  int64_t x = 10 * kPx;
  for (const uint32_t vm : vms_) {
    const auto name = picture_.vm_names.find(vm);
    LegendEntry(&x, Fill(vm),
                name != picture_.vm_names.end() ? name->second
                : vm == 0                       ? "host"
                                                : absl::StrCat("VM ", vm));
  }
  LegendEntry(&x, Fill(kForced), "forced idle: beside a VM's thread");
  y_ += kLine;
}

// Where a CPU idles while a sibling runs a VM's thread. Whether somebody wanted it, switches do not
// tell: kept free, it is in either case.
std::vector<Drawing::Span> Drawing::ForcedIdle(const sim::SimCore& core, int cpu) const {
  std::vector<Span> busy;  // siblings
  for (const CpuId sibling : core.cpus) {
    if (sibling.value() == cpu) continue;
    for (const Stint& stint : stints_[sibling.value()]) {
      if (stint.vm != 0) busy.push_back({stint.from, stint.to});
    }
  }
  std::sort(busy.begin(), busy.end(), [](const Span& a, const Span& b) { return a.from < b.from; });
  std::vector<Span> forced;
  Time done = from_;  // all before it has been dealt with
  auto own = stints_[cpu].begin();
  for (const Span& span : busy) {
    done = std::max(done, span.from);
    while (done < span.to) {
      while (own != stints_[cpu].end() && own->to <= done) ++own;
      const Time next = own == stints_[cpu].end() ? to_ : own->from;
      if (done < next) forced.push_back({done, std::min(next, span.to)});
      done = next < span.to && own != stints_[cpu].end() ? own->to : span.to;
    }
  }
  return forced;
}

// In the present row, as a part of a path. Rows of some height have a hairline below.
std::string Drawing::Rect(int64_t x, int64_t width) const {
  const int64_t height = row_ - (row_ >= 10 * kPx ? kPx : 0);
  return absl::StrCat("M", Px(x), " ", Px(y_), "h", Px(width), "v", Px(height), "h-", Px(width),
                      "z");
}

// Within the cell, if it fits.
void Drawing::CellText(const Cell& cell) {
  const std::string& name = timeline_.NameOf(cell.tid);
  if (row_ < 16 * kPx || static_cast<int64_t>(name.size()) * 6 * kPx + 8 * kPx > cell.end - cell.x)
    return;
  const char* const colour = cell.vm == 0 ? "#000" : kPalette[Look(cell.vm) % kColours].text;
  // On a texture, words are hard to read.
  if (cell.vm != 0 && Look(cell.vm) >= kColours) return;
  Text(cell.x + 4 * kPx, y_ + row_ / 2 + 35, 10 * kPx, absl::StrCat(" fill=\"", colour, "\""),
       name);
}

void Drawing::Row(int cpu) {
  std::vector<Cell> cells;
  for (const Stint& stint : stints_[cpu]) {
    const Cell cell = {X(stint.from), X(stint.to), stint.vm, stint.tid};
    if (cell.x == cell.end) continue;
    if (!cells.empty() && cells.back().end == cell.x && cells.back().tid == cell.tid &&
        cells.back().vm == cell.vm) {
      cells.back().end = cell.end;
    } else {
      cells.push_back(cell);
    }
  }
  std::map<uint32_t, std::string> paths;  // by VM
  for (const Cell& cell : cells) {
    // A hairline tells a VM's threads apart, where there is room for it.
    const int64_t width = cell.end - cell.x - (cell.end - cell.x >= 2 * kPx ? 4 : 0);
    paths[cell.vm] += Rect(cell.x, width);
  }
  for (const auto& [vm, path] : paths)
    absl::StrAppend(&out_, "<path fill=\"", Fill(vm), "\" d=\"", path, "\"/>\n");
  for (const Cell& cell : cells) CellText(cell);
}

void Drawing::Labels(size_t core) {
  const sim::SimCore& here = timeline_.cores()[core];
  const int64_t height = row_ * static_cast<int64_t>(here.cpus.size());
  const int64_t size = row_ >= 16 * kPx ? 11 * kPx : 8 * kPx;
  const std::string name = absl::StrCat("core ", core);
  const int64_t base = y_ + height / 2 + size * 35 / 100;
  if (row_ < 10 * kPx && base < label_y_) return;
  label_y_ = base + size;
  Text(8 * kPx, base, size, "", name);
  constexpr absl::string_view kEnd = " text-anchor=\"end\" fill=\"#555\"";
  if (row_ < 10 * kPx) {
    CpuSet cpus;
    for (const CpuId cpu : here.cpus) cpus.Insert(cpu);
    return Text(kLeft - 5 * kPx, base, size, kEnd, cpus.Format());
  }
  int64_t y = y_ + row_ / 2 + size * 35 / 100;
  for (const CpuId cpu : here.cpus) {
    Text(kLeft - 5 * kPx, y, size, kEnd, absl::StrCat("CPU ", cpu.value()));
    y += row_;
  }
}

void Drawing::Core(size_t core) {
  const sim::SimCore& here = timeline_.cores()[core];
  Labels(core);
  Box(kLeft, y_, kPlot, row_ * static_cast<int64_t>(here.cpus.size()), "#f3f3f3");
  for (const CpuId cpu : here.cpus) {
    std::string forced;
    for (const Span& span : ForcedIdle(here, cpu.value())) {
      const int64_t x = X(span.from), width = X(span.to) - x;
      if (width > 0) forced += Rect(x, width);
    }
    if (!forced.empty()) {
      absl::StrAppend(&out_, "<path class=\"forced\" fill=\"", Fill(kForced), "\" d=\"", forced,
                      "\"/>\n");
    }
    Row(cpu.value());
    y_ += row_;
  }
  y_ += row_ >= 10 * kPx ? 4 * kPx : 2 * kPx;
}

void Drawing::Rows() {
  std::map<int, std::vector<size_t>> nodes;
  for (size_t c = 0; c < timeline_.cores().size(); ++c)
    nodes[timeline_.cores()[c].node].push_back(c);
  for (const auto& [node, cores] : nodes) {
    Text(8 * kPx, y_ + 12 * kPx, 11 * kPx, " font-weight=\"bold\"", absl::StrCat("node ", node));
    y_ += 17 * kPx;
    label_y_ = 0;
    for (const size_t core : cores) Core(core);
  }
}

void Drawing::Tick(Time time, int64_t step) {
  struct Unit {
    int64_t ns;
    const char* name;
  };
  constexpr Unit kUnits[] = {
      {1000000000, " s"}, {1000000, " ms"}, {1000, " \xc2\xb5s"}, {1, " ns"}};
  const Unit* unit = kUnits;
  while (step % unit->ns != 0) ++unit;
  const int64_t x = X(time);
  const std::string label = absl::StrCat(time.time_since_epoch().count() / unit->ns, unit->name);
  absl::StrAppend(&out_, "<path stroke=\"#000\" stroke-opacity=\".25\" stroke-width=\".5\" d=\"M",
                  Px(x), " ", Px(plot_y_), "V", Px(y_), "\"/>\n");
  for (const int64_t y : {plot_y_ - 4 * kPx, y_ + 12 * kPx})
    Text(x, y, 10 * kPx, " text-anchor=\"middle\"", label);
}

// Steps of 1, 2 or 5, at most ten of them.
void Drawing::Axis() {
  const int64_t span = (to_ - from_).count();
  const int64_t step = pictures::StepOf(span);
  int64_t at = (from_.time_since_epoch().count() + step - 1) / step * step;
  for (; at <= to_.time_since_epoch().count(); at += step) Tick(Time(Duration(at)), step);
}

std::string Drawing::Draw() {
  Head();
  if (from_ < to_) {
    Patterns();
    Legend();
    plot_y_ = y_ += kLine;
    Rows();
    Axis();
    y_ += kLine;
  }
  y_ += 6 * kPx;
  const std::string size = absl::StrCat("width=\"", Px(kWidth), "\" height=\"", Px(y_),
                                        "\" viewBox=\"0 0 ", Px(kWidth), " ", Px(y_), "\"");
  const std::string title = picture_.title.empty() ? "Who ran where" : picture_.title;
  return absl::StrCat(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<svg xmlns=\"http://www.w3.org/2000/svg\" ",
      size, " font-family=\"DejaVu Sans,Arial,sans-serif\" role=\"img\">\n<title>", Escape(title),
      "</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n", out_, "</svg>\n");
}

}  // namespace

std::string Timeline::Svg(const Picture& picture) const { return Drawing(*this, picture).Draw(); }

}  // namespace corral
