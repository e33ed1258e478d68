// SPDX-License-Identifier: Apache-2.0
// What corrald does when the kernel has put the class out of charge (I4): the class's watchdog, a
// SysRq, an error in it. Its threads would then run under the default scheduler, beside whom they
// like. Or when the class is cut off: bpffs was torn away, and it would end with this process.
//
// A ladder: stop the VMs at once; load the class again, at most kAttempts times within kMaxPause;
// failing that, one SMT sibling per core goes offline, so that siblings cannot be shared at all;
// the VMs go on. corral.yaml's `class_loss` chooses: recover climbs it, pause stays at the first
// rung when the class cannot be loaded, release does nothing but say so. Blocks for kMaxPause at
// most. One thread.
#ifndef CORRAL_AGENT_DAEMON_CLASS_RECOVERY_H_
#define CORRAL_AGENT_DAEMON_CLASS_RECOVERY_H_

#include <string>

#include "absl/status/status.h"
#include "agent/class/paused_vms.h"
#include "agent/daemon/logger.h"
#include "config/config.h"
#include "kernel/ghost_kernel.h"

namespace corral {

class ClassRecovery {
 public:
  static constexpr int kAttempts = 3;
  static constexpr Duration kMaxPause = std::chrono::seconds(5);

  // `log` and `kernel` must outlive it.
  ClassRecovery(const ControlKernel& kernel, const Config& config, Logger& log)
      : kernel_(kernel), config_(config), log_(log) {}

  // True: the class is in charge again and knows nothing, so the daemon has to begin anew, and to
  // let `paused` go on as soon as they are attached. False: it is not, and everything that could be
  // done was done and said.
  bool Run(PausedVms& paused);

 private:
  std::string Reason() const;
  bool Reload();
  void WithoutClass(PausedVms& paused);
  bool TakeSiblingsOffline();

  const ControlKernel& kernel_;
  const Config& config_;
  Logger& log_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_CLASS_RECOVERY_H_
