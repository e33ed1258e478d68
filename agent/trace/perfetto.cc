// SPDX-License-Identifier: Apache-2.0
#include "agent/trace/perfetto.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "agent/runtime/counters.h"
#include "agent/trace/trace_file.h"

namespace corral {
namespace {

using nlohmann::json;

class Drawing {
 public:
  Drawing(const ControlKernel& kernel, TraceNames& names)
      : kernel_(kernel), names_(names), open_(kernel.cpus().size()) {
    for (uint32_t id = 0; id < kernel.info().nr_cores; ++id) {
      const ghost_core_state& core = kernel.cores()[id];
      if (core.nr_cpus == 0) continue;
      file_.NameCore(static_cast<int>(id), CpuId(core.cpus[0]),
                     absl::StrCat("node ", kernel.cpus()[core.cpus[0]].node));
      for (uint32_t i = 0; i < core.nr_cpus; ++i)
        file_.NameCpu(static_cast<int>(id), CpuId(core.cpus[i]));
    }
  }

  void Add(const TraceEvent& event) {
    end_ = event.at;
    switch (event.type) {
      case GHOST_TRACE_SWITCH:
        return Switch(event);
      case GHOST_TRACE_MESSAGE:
        return Mark(event, absl::StrCat(MessageName(event.what), Of(event)),
                    {{"queue", event.arg}});
      case GHOST_TRACE_COMMIT:
        return Mark(event,
                    absl::StrCat("commit: ", absl::AsciiStrToLower(TxnStateName(event.what))),
                    {{"core", event.arg}});
      case GHOST_TRACE_LATCH:
        return Mark(event, absl::StrCat("CPU ", event.arg, " shall run", Of(event)),
                    {{"cpu", event.arg}});
    }
  }

  std::string Finish(uint64_t lost) {
    for (size_t cpu = 0; cpu < open_.size(); ++cpu) End(cpu, end_);
    return file_.Finish({{"lost_events", lost}});
  }

 private:
  int CoreOf(CpuId cpu) const { return static_cast<int>(kernel_.cpus()[cpu.value()].core); }

  std::string Of(const TraceEvent& event) {
    if (event.tid == 0) return "";
    return absl::StrCat(" ", names_.Domain(event.domain), ": ", names_.Thread(event.tid));
  }

  void Mark(const TraceEvent& event, const std::string& name, json args) {
    file_.Mark(CoreOf(event.cpu), event.cpu, event.at, name, std::move(args));
  }

  void Switch(const TraceEvent& event) {
    const auto cpu = static_cast<size_t>(event.cpu.value());
    End(cpu, event.at);
    if (event.tid == 0) return;
    const bool ours = event.what == GHOST_CPU_NOT_TAKEN;
    open_[cpu] = {
        .core = CoreOf(event.cpu),
        .cpu = event.cpu,
        .name = ours ? absl::StrCat(names_.Domain(event.domain), ": ", names_.Thread(event.tid))
                     : names_.Thread(event.tid),
        .category = ours                               ? "vm"
                    : event.what == GHOST_CPU_BY_AGENT ? "agent"
                                                       : "host",
        .colour = ours ? static_cast<int>(event.domain) : TraceFile::kGrey,
        .from = event.at,
        .args = {{"tid", event.tid}, {"domain", event.domain}}};
  }

  void End(size_t cpu, Time at) {
    TraceFile::Slice& slice = open_[cpu];
    slice.to = at;
    if (!slice.name.empty() && slice.from < at) file_.Add(slice);
    slice.name.clear();
  }

  const ControlKernel& kernel_;
  TraceNames& names_;
  TraceFile file_;
  std::vector<TraceFile::Slice> open_;  // by CPU; without a name: nobody runs there
  Time end_{};
};

}  // namespace

std::string PerfettoOf(const ControlKernel& kernel, const std::vector<TraceEvent>& events,
                       uint64_t lost, TraceNames& names) {
  Drawing drawing(kernel, names);
  for (const TraceEvent& event : events) drawing.Add(event);
  return drawing.Finish(lost);
}

}  // namespace corral
