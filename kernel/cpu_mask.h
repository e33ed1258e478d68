// SPDX-License-Identifier: Apache-2.0
// A CpuSet in the form in which the C library takes it, for affinities of threads.
#ifndef CORRAL_KERNEL_CPU_MASK_H_
#define CORRAL_KERNEL_CPU_MASK_H_

#include <sched.h>

#include "kernel/cpu_set.h"

namespace corral {

static_assert(CPU_SETSIZE == CpuSet::kMaxCpus);

inline cpu_set_t MaskOf(const CpuSet& cpus) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  cpus.ForEach([&](CpuId cpu) { CPU_SET(cpu.value(), &mask); });
  return mask;
}

inline CpuSet FromMask(const cpu_set_t& mask) {
  CpuSet cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &mask)) cpus.Insert(CpuId(cpu));
  }
  return cpus;
}

}  // namespace corral

#endif  // CORRAL_KERNEL_CPU_MASK_H_
