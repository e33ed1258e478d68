// SPDX-License-Identifier: Apache-2.0
// What a VM's settings mean for one of its threads in the class, and how that is told to the
// operator. Pure functions; any thread.
#ifndef CORRAL_AGENT_VIEWS_VM_ATTRIBUTES_H_
#define CORRAL_AGENT_VIEWS_VM_ATTRIBUTES_H_

#include <string>

#include "kernel/ghost_kernel.h"
#include "vmm-integration/vm_settings.h"

namespace corral {

// Which thread of its VM a task is.
struct TaskRole {
  uint32_t vcpu = GHOST_NO_VCPU;
  bool iothread = false;  // of those that are no vCPU
};

TaskAttributes AttributesOf(const ghost_status_word& word);

// A cap of the whole VM is dealt out to its vCPUs, which are so many, in equal parts; of that and
// the cap of a vCPU the lower counts. `now` is what the class has: what malformed metadata would
// have said stays as it is there.
TaskAttributes AttributesFor(const VmSettings& settings, const TaskRole& role, int vcpus,
                             const TaskAttributes& now);

// What becomes different, as "weight 200 (schedinfo), cap 20ms of 100ms (XML)"; "" if nothing does.
std::string DescribeChange(const TaskAttributes& before, const TaskAttributes& after,
                           const VmSettings& settings);

}  // namespace corral

#endif  // CORRAL_AGENT_VIEWS_VM_ATTRIBUTES_H_
