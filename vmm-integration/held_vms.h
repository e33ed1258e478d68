// SPDX-License-Identifier: Apache-2.0
// VMs that cgroup_watch.bpf.c holds (SIGSTOP) from the moment a vCPU thread of theirs enters its
// cgroup until whoever reads its reports has dealt with that thread: so no vCPU runs its guest
// before it could be attached.
//
// The record is a pinned map, which outlives its reader: a VM whose reader died goes on when the
// next one has looked at everything, or when somebody calls ReleaseLeftovers(). A user who stops
// the same process in these milliseconds finds it going on. Needs CAP_BPF and CAP_KILL. One thread.
#ifndef CORRAL_VMM_INTEGRATION_HELD_VMS_H_
#define CORRAL_VMM_INTEGRATION_HELD_VMS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernel/fd.h"

namespace corral {

class HeldVms {
 public:
  // `map`: held_vms of cgroup_watch.bpf.c.
  explicit HeldVms(Fd map) : map_(std::move(map)) {}

  // The stop with this number has served its purpose. The process goes on, unless it was stopped
  // once more since.
  void Release(pid_t process, uint64_t hold);
  std::vector<pid_t> All() const;
  // These go on, whatever else is known of them.
  void ReleaseAll(const std::vector<pid_t>& processes);

  // Lets those go on whose reader left them behind, and removes the pin. Returns them.
  static std::vector<pid_t> ReleaseLeftovers(const std::string& pin);

 private:
  const Fd map_;
};

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_HELD_VMS_H_
