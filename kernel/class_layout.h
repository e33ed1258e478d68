// SPDX-License-Identifier: Apache-2.0
// How the class's memory looks for a machine: how many elements each of its maps has, and what the
// first ones hold. For whoever loads it: kernel/bpf, kernel/sim and the benchmarks.
//
// A value, immutable once made; any thread. The maps are those of kernel/bpf/ghost_maps.bpf.h.
#ifndef CORRAL_KERNEL_CLASS_LAYOUT_H_
#define CORRAL_KERNEL_CLASS_LAYOUT_H_

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "kernel/abi/ghost.h"
#include "kernel/abi/trace.h"
#include "kernel/cpu_set.h"

namespace corral {

// SMT siblings are numbered in the order of their CPU ids.
struct ClassCore {
  CpuSet siblings;
  int node = 0;
};

struct ClassSizes {
  uint32_t tasks = 4096;   // rounded up to a multiple of 64
  uint32_t domains = 512;  // VMs or other trust domains
  // All of the host's threads are in the class (kernel/bpf/ghost_host.bpf.h); otherwise those that
  // were put there.
  bool whole_host = false;

  static ClassSizes Of(const ghost_class_info& info) {
    return {.tasks = info.nr_slots, .domains = info.nr_domains, .whole_host = info.whole_host != 0};
  }
};

class ClassLayout {
 public:
  // Each core has 1 to GHOST_MAX_SIBLINGS siblings.
  // `object`: which build of the class it is for.
  ClassLayout(absl::Span<const ClassCore> cores, const ClassSizes& sizes, uint64_t object = 0);

  // Of the map with that name; 0: as many as it was declared with.
  uint32_t EntriesOf(absl::string_view map) const;

  const ghost_class_info& info() const { return info_; }
  const std::vector<ghost_core_state>& cores() const { return cores_; }  // by CoreId
  const std::vector<ghost_cpu_config>& cpus() const { return cpus_; }    // by CpuId

 private:
  ghost_class_info info_{};
  std::vector<ghost_core_state> cores_;
  std::vector<ghost_cpu_config> cpus_;
};

}  // namespace corral

#endif  // CORRAL_KERNEL_CLASS_LAYOUT_H_
