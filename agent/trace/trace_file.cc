// SPDX-License-Identifier: Apache-2.0
#include "agent/trace/trace_file.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace corral {
namespace {

using nlohmann::json;

// Perfetto takes 0 for the idle task, and joins a thread with the process of the same number.
constexpr int kFirstProcess = 10000;
constexpr int kFirstTrack = 1000;

// chrome://tracing's names for colours that differ.
constexpr const char* kColours[] = {
    "rail_response",          "rail_idle", "rail_load", "detailed_memory_dump",
    "background_memory_dump", "terrible",  "yellow",    "olive"};

int ProcessOf(int core) { return kFirstProcess + core; }
int TrackOf(CpuId cpu) { return kFirstTrack + cpu.value(); }

// The nearest double has the same 15 digits, so that its decimals are the ns up to 2^53 / 1000 us.
double Us(Duration time) { return static_cast<double>(time.count()) / 1000; }

json NameEvent(const char* what, const char* key, json value, int process, int track) {
  return {{"ph", "M"},
          {"name", what},
          {"pid", process},
          {"tid", track},
          {"args", {{key, std::move(value)}}}};
}

}  // namespace

void TraceFile::Append(const json& event) {
  absl::StrAppend(&events_, events_.empty() ? "\n" : ",\n",
                  event.dump(-1, ' ', false, json::error_handler_t::replace));
}

void TraceFile::NameCore(int core, CpuId first_cpu, const std::string& label) {
  const int process = ProcessOf(core), first = TrackOf(first_cpu);
  Append(NameEvent("process_name", "name", absl::StrCat("core ", core), process, first));
  Append(NameEvent("process_labels", "labels", label, process, first));
  Append(NameEvent("process_sort_index", "sort_index", core, process, first));
}

void TraceFile::NameCpu(int core, CpuId cpu) {
  const int process = ProcessOf(core), track = TrackOf(cpu);
  Append(NameEvent("thread_name", "name", absl::StrCat("CPU ", cpu.value()), process, track));
  Append(NameEvent("thread_sort_index", "sort_index", cpu.value(), process, track));
}

void TraceFile::Add(const Slice& slice) {
  const bool grey = slice.colour < 0;
  Append({{"ph", "X"},
          {"name", slice.name},
          {"cat", slice.category},
          {"cname", grey ? "grey" : kColours[slice.colour % std::size(kColours)]},
          {"pid", ProcessOf(slice.core)},
          {"tid", TrackOf(slice.cpu)},
          {"ts", Us(slice.from.time_since_epoch())},
          {"dur", Us(slice.to - slice.from)},
          {"args", slice.args}});
}

void TraceFile::Mark(int core, CpuId cpu, Time at, const std::string& name, json args,
                     bool everywhere) {
  json event = {{"ph", "i"},           {"s", everywhere ? "g" : "t"},
                {"name", name},        {"pid", ProcessOf(core)},
                {"tid", TrackOf(cpu)}, {"ts", Us(at.time_since_epoch())}};
  if (!args.is_null()) event["args"] = std::move(args);
  Append(event);
}

std::string TraceFile::Finish(const json& other) const {
  return absl::StrCat("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", events_,
                      "\n],\"otherData\":", other.dump(), "}\n");
}

}  // namespace corral
