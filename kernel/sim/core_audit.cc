// SPDX-License-Identifier: Apache-2.0
#include "kernel/sim/core_audit.h"

#include "absl/strings/str_cat.h"

namespace corral::sim {

CoreAudit::CoreAudit(const Machine& machine) {
  const std::vector<SimCore>& cores = machine.spec().cores;
  for (size_t c = 0; c < cores.size(); ++c) {
    cores_.emplace_back();
    for (const CpuId cpu : cores[c].cpus) {
      cores_.back().cpus.push_back(cpu.value());
      if (static_cast<size_t>(cpu.value()) >= stints_.size()) {
        stints_.resize(cpu.value() + 1);
        core_of_.resize(cpu.value() + 1);
      }
      core_of_[cpu.value()] = static_cast<int>(c);
    }
  }
}

void CoreAudit::Settle(CoreState& core, Time now) {
  const Duration time = now - core.since;
  core.since = now;
  if (core.met_enforced) enforced_.time += time;
  if (core.met_exposed) exposed_.time += time;
  int idle = 0;
  bool some = false;
  for (const int cpu : core.cpus) {
    idle += stints_[cpu].thread == nullptr;
    some = some || stints_[cpu].vm != 0;
  }
  if (!some) return;
  core_time_ += time;
  forced_idle_ += time * idle / static_cast<int>(core.cpus.size());
}

void CoreAudit::Judge(CoreState& core, Time now, int cpu) {
  const bool was_enforced = core.met_enforced;
  const bool was_exposed = core.met_exposed;
  core.met_enforced = core.met_exposed = false;
  const Stint& here = stints_[cpu];
  for (size_t i = 0; i < core.cpus.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const Stint& a = stints_[core.cpus[i]];
      const Stint& b = stints_[core.cpus[j]];
      if (a.vm == 0 || b.vm == 0 || a.vm == b.vm) continue;
      (a.enrolled && b.enrolled ? core.met_enforced : core.met_exposed) = true;
    }
  }
  exposed_.times += core.met_exposed && !was_exposed;
  if (!core.met_enforced || was_enforced) return;
  if (++enforced_.times > 1) return;
  enforced_.first = absl::StrCat("at ", now.time_since_epoch().count(), " ns ", here.thread->name(),
                                 " came to CPU ", cpu, " beside");
  for (const int other : core.cpus) {
    if (other != cpu && stints_[other].thread != nullptr)
      absl::StrAppend(&enforced_.first, " ", stints_[other].thread->name());
  }
}

void CoreAudit::Switched(Time now, int cpu, const SimThread*, const SimThread* to) {
  CoreState& core = cores_[core_of_[cpu]];
  Settle(core, now);
  stints_[cpu] = {.thread = to,
                  .vm = to == nullptr ? 0 : to->vm,
                  .enrolled = to != nullptr && to->policy == kSchedExtPolicy};
  if (to != nullptr && to->vm != 0 && to->vm != core.last_vm) {
    core.last_vm = to->vm;
    ++core_switches_;
  }
  Judge(core, now, cpu);
}

}  // namespace corral::sim
