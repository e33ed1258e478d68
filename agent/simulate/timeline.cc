// SPDX-License-Identifier: Apache-2.0
#include "agent/simulate/timeline.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/trace/trace_file.h"

namespace corral {

using nlohmann::json;

namespace {

std::string Letters(uint32_t vm) {
  std::string letters;
  for (; vm > 0; vm = (vm - 1) / 26)
    letters.insert(letters.begin(), static_cast<char>('A' + (vm - 1) % 26));
  return letters;
}

void NameAll(const std::vector<sim::SimCore>& cores, TraceFile& file) {
  for (size_t c = 0; c < cores.size(); ++c) {
    const int core = static_cast<int>(c);
    file.NameCore(core, cores[c].cpus.front(),
                  absl::StrCat("node ", cores[c].node, ", L3 ", cores[c].l3));
    for (const CpuId cpu : cores[c].cpus) file.NameCpu(core, cpu);
  }
}

TraceFile::Slice SliceOf(const Timeline::Stint& stint, const std::string& thread, int core,
                         const Timeline::VmNames& vm_names) {
  json args = {{"vm", stint.vm}, {"tid", stint.tid}};
  if (const auto name = vm_names.find(stint.vm); name != vm_names.end())
    args["vm_name"] = name->second;
  const bool host = stint.vm == 0;
  return {.core = core,
          .cpu = CpuId(stint.cpu),
          .name = host ? thread : absl::StrCat(Letters(stint.vm), " ", thread),
          .category = host ? "host" : "vm",
          .colour = static_cast<int>(stint.vm) - 1,
          .from = stint.from,
          .to = stint.to,
          .args = std::move(args)};
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
  TraceFile file;
  NameAll(cores(), file);
  std::vector<int> core_of(open_.size());
  for (size_t c = 0; c < cores().size(); ++c) {
    for (const CpuId cpu : cores()[c].cpus) core_of[cpu.value()] = static_cast<int>(c);
  }
  for (const Stint& stint : Stints())
    file.Add(SliceOf(stint, NameOf(stint.tid), core_of[stint.cpu], vm_names));
  json other = {{"cut_off", cut_off_.has_value()}};
  if (cut_off_.has_value()) {
    file.Mark(0, cores().front().cpus.front(), *cut_off_,
              absl::StrCat("cut off after ", most_stints_, " stints"), {}, /*everywhere=*/true);
    other["cut_off_ns"] = cut_off_->time_since_epoch().count();
  }
  return file.Finish(other);
}

}  // namespace corral
