// SPDX-License-Identifier: Apache-2.0
// What the cgroups of a VM say about its CPU time: Proxmox writes cpuunits and cpulimit there,
// KubeVirt a pod's requests and limits. The kernel does not keep them for threads in sched_ext.
//
// cgroup v2 only. Reads only; `root` as in qemu_process.h.
#ifndef CORRAL_VMM_INTEGRATION_CGROUP_LIMITS_H_
#define CORRAL_VMM_INTEGRATION_CGROUP_LIMITS_H_

#include <sys/types.h>

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernel/fd.h"
#include "kernel/types.h"

namespace corral {

struct CgroupLimits {
  int weight = 100;   // cpu.weight: 1 to 10000
  Duration quota{};   // cpu.max: CPU time of all threads together in each period; 0: no cap
  Duration period{};  // 0 without a quota

  bool operator==(const CgroupLimits&) const = default;
};

// Of the group that the process is in: the weight of the nearest group that has one, and of the
// caps from there to the root the tightest. Groups of single threads, as libvirt makes for its
// vCPUs, are passed over. Several VMs in one group have the same limits each. What is missing or
// makes no sense is no limit. Any thread.
CgroupLimits LimitsOfProcess(pid_t pid, const std::string& root = "");

// Says when to read them again. Used from one thread.
class CgroupLimitsWatcher {
 public:
  // ResourceExhausted: no inotify instance is left.
  static absl::StatusOr<CgroupLimitsWatcher> Start(std::string root = "");

  // Watches the groups that these processes are in now, and those above, and no others. To be
  // called before their limits are read, and again when they may have moved.
  void Watch(const std::vector<pid_t>& pids);
  // Readable when there is something to Drain.
  int fd() const { return inotify_.get(); }
  // Whether a limit of somebody's may have changed since. Who may write to a group may keep it
  // busy: do not ask in a loop.
  bool Drain();

 private:
  CgroupLimitsWatcher(Fd inotify, std::string root)
      : inotify_(std::move(inotify)), root_(std::move(root)) {}

  Fd inotify_;
  std::string root_;
  std::set<int> watches_;
};

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_CGROUP_LIMITS_H_
