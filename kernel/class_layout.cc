// SPDX-License-Identifier: Apache-2.0
#include "kernel/class_layout.h"

#include <algorithm>

namespace corral {

ClassLayout::ClassLayout(absl::Span<const ClassCore> cores, const ClassSizes& sizes,
                         uint64_t object) {
  for (uint32_t id = 0; id < cores.size(); ++id) {
    ghost_core_state core = {.queue = id};
    cores[id].siblings.ForEach([&](CpuId cpu) {
      const auto index = static_cast<size_t>(cpu.value());
      if (index >= cpus_.size()) cpus_.resize(index + 1);
      cpus_[index] = {.core = id,
                      .sibling = core.nr_cpus,
                      .present = 1,
                      .node = static_cast<uint32_t>(cores[id].node)};
      core.cpus[core.nr_cpus++] = cpu.value();
    });
    info_.nr_nodes = std::max(info_.nr_nodes, static_cast<uint32_t>(cores[id].node) + 1);
    cores_.push_back(core);
  }
  info_.abi_version = GHOST_ABI_VERSION;
  info_.nr_cpus = static_cast<uint32_t>(cpus_.size());
  info_.nr_cores = static_cast<uint32_t>(cores_.size());
  info_.nr_slots = (sizes.tasks + GHOST_BLOCK_SLOTS - 1) / GHOST_BLOCK_SLOTS * GHOST_BLOCK_SLOTS;
  info_.nr_domains = sizes.domains;
  info_.nr_queues = info_.nr_cores;
  info_.whole_host = sizes.whole_host ? 1 : 0;
  info_.object = object;
}

uint32_t ClassLayout::EntriesOf(absl::string_view map) const {
  if (map == "domains") return info_.nr_domains;
  if (map == "blocks") return info_.nr_slots / GHOST_BLOCK_SLOTS;
  if (map == "status_words" || map == "tasks" || map == "affinities" || map == "waits" ||
      map == "tallies")
    return info_.nr_slots;
  if (map == "cpu_configs" || map == "cpu_states" || map == "cpu_timers") return info_.nr_cpus;
  if (map == "traces") return info_.nr_cpus * GHOST_TRACE_EVENTS;
  if (map == "cores" || map == "txns" || map == "queue_states" || map == "queues")
    return info_.nr_cores;
  return 0;
}

}  // namespace corral
