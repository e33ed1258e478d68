// SPDX-License-Identifier: Apache-2.0
#include "agent/simulate/timeline.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"

namespace corral {

using nlohmann::json;

namespace {

// Perfetto takes 0 for the idle task, and joins a thread with the process of the same number.
constexpr int kFirstProcess = 10000;
constexpr int kFirstTrack = 1000;

// chrome://tracing's names for colours that differ.
constexpr const char* kColours[] = {
    "rail_response",          "rail_idle", "rail_load", "detailed_memory_dump",
    "background_memory_dump", "terrible",  "yellow",    "olive"};

std::string Letters(uint32_t vm) {
  std::string letters;
  for (; vm > 0; vm = (vm - 1) / 26)
    letters.insert(letters.begin(), static_cast<char>('A' + (vm - 1) % 26));
  return letters;
}

// The nearest double has the same 15 digits, so that its decimals are the ns up to 2^53 / 1000 us.
double Us(Duration time) { return static_cast<double>(time.count()) / 1000; }

json NameEvent(const char* what, const char* key, json value, int process, int track) {
  return {{"ph", "M"},
          {"name", what},
          {"pid", process},
          {"tid", track},
          {"args", {{key, std::move(value)}}}};
}

// One event per line, made one at a time: as one value they would take a hundred times the memory
// of the stints.
void Append(const json& event, std::string* out) {
  absl::StrAppend(out, out->back() == '[' ? "\n" : ",\n",
                  event.dump(-1, ' ', false, json::error_handler_t::replace));
}

void AppendNames(const std::vector<sim::SimCore>& cores, std::string* out) {
  for (size_t c = 0; c < cores.size(); ++c) {
    const int process = kFirstProcess + static_cast<int>(c);
    const int first = kFirstTrack + cores[c].cpus.front().value();
    const std::string label = absl::StrCat("node ", cores[c].node, ", L3 ", cores[c].l3);
    Append(NameEvent("process_name", "name", absl::StrCat("core ", c), process, first), out);
    Append(NameEvent("process_labels", "labels", label, process, first), out);
    Append(NameEvent("process_sort_index", "sort_index", c, process, first), out);
    for (const CpuId cpu : cores[c].cpus) {
      const int track = kFirstTrack + cpu.value();
      const std::string name = absl::StrCat("CPU ", cpu.value());
      Append(NameEvent("thread_name", "name", name, process, track), out);
      Append(NameEvent("thread_sort_index", "sort_index", cpu.value(), process, track), out);
    }
  }
}

json StintEvent(const Timeline::Stint& stint, const std::string& thread, int process,
                const Timeline::VmNames& vm_names) {
  json args = {{"vm", stint.vm}, {"tid", stint.tid}};
  if (const auto name = vm_names.find(stint.vm); name != vm_names.end())
    args["vm_name"] = name->second;
  const bool host = stint.vm == 0;
  return {{"ph", "X"},
          {"name", host ? thread : absl::StrCat(Letters(stint.vm), " ", thread)},
          {"cat", host ? "host" : "vm"},
          {"cname", host ? "grey" : kColours[(stint.vm - 1) % std::size(kColours)]},
          {"pid", process},
          {"tid", kFirstTrack + stint.cpu},
          {"ts", Us(stint.from.time_since_epoch())},
          {"dur", Us(stint.to - stint.from)},
          {"args", std::move(args)}};
}

}  // namespace

Timeline::Timeline(const sim::Machine& machine, size_t most_stints)
    : machine_(machine), most_stints_(most_stints), begin_(machine.now()) {
  for (const sim::SimCore& core : cores()) {
    for (const CpuId cpu : core.cpus)
      open_.resize(std::max(open_.size(), static_cast<size_t>(cpu.value()) + 1));
  }
  for (const sim::SimCore& core : cores()) {
    for (const CpuId cpu : core.cpus) {
      if (const sim::SimThread* const thread = machine.Running(cpu))
        Begin(begin_, cpu.value(), *thread);
    }
  }
}

void Timeline::Switched(Time now, int cpu, const sim::SimThread*, const sim::SimThread* to) {
  if (cut_off_.has_value()) return;
  End(now, open_[cpu]);
  if (to != nullptr) Begin(now, cpu, *to);
}

void Timeline::Begin(Time now, int cpu, const sim::SimThread& thread) {
  if (cut_off_.has_value()) return;
  if (stints_.size() + nr_open_ >= most_stints_) {
    // All CPUs end at once: a picture of some of them would show idle ones that were not.
    for (Stint& open : open_) End(now, open);
    cut_off_ = now;
    return;
  }
  names_.try_emplace(thread.tid(), thread.name());
  open_[cpu] = {.cpu = cpu, .vm = thread.vm, .tid = thread.tid(), .from = now};
  ++nr_open_;
}

void Timeline::End(Time now, Stint& open) {
  if (open.cpu < 0) return;
  open.to = now;
  if (open.from < now) stints_.push_back(open);
  open.cpu = -1;
  --nr_open_;
}

std::vector<Timeline::Stint> Timeline::Stints() const {
  std::vector<Stint> all = stints_;
  for (Stint open : open_) {
    open.to = end();
    if (open.cpu >= 0 && open.from < open.to) all.push_back(open);
  }
  return all;
}

std::string Timeline::Perfetto(const VmNames& vm_names) const {
  std::string out = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[";
  AppendNames(cores(), &out);
  std::vector<int> process_of(open_.size());
  for (size_t c = 0; c < cores().size(); ++c) {
    for (const CpuId cpu : cores()[c].cpus)
      process_of[cpu.value()] = kFirstProcess + static_cast<int>(c);
  }
  for (const Stint& stint : Stints())
    Append(StintEvent(stint, NameOf(stint.tid), process_of[stint.cpu], vm_names), &out);
  json other = {{"cut_off", cut_off_.has_value()}};
  if (cut_off_.has_value()) {
    const std::string name = absl::StrCat("cut off after ", most_stints_, " stints");
    Append({{"ph", "i"},
            {"s", "g"},
            {"name", name},
            {"pid", kFirstProcess},
            {"tid", kFirstTrack + cores().front().cpus.front().value()},
            {"ts", Us(cut_off_->time_since_epoch())}},
           &out);
    other["cut_off_ns"] = cut_off_->time_since_epoch().count();
  }
  absl::StrAppend(&out, "\n],\"otherData\":", other.dump(), "}\n");
  return out;
}

}  // namespace corral
