// SPDX-License-Identifier: Apache-2.0
// What the kernel says about sched_ext: is it there, and whose scheduler is in charge.
#ifndef CORRAL_KERNEL_BPF_SCHED_EXT_STATE_H_
#define CORRAL_KERNEL_BPF_SCHED_EXT_STATE_H_

#include <string>

namespace corral {

inline constexpr char kClassName[] = "corral";  // of the class's sched_ext_ops

struct SchedExtState {
  bool present = false;   // the kernel has sched_ext
  std::string state;      // "disabled", "enabled", "enabling", ...
  std::string scheduler;  // name of the loaded one; "" if none, "?" if it tells none
  bool Disabled() const { return !present || state == "disabled"; }
  bool Ours() const { return !Disabled() && scheduler == kClassName; }
};

// `root`: where sys/ is looked for; "" on a real machine.
SchedExtState ReadSchedExtState(const std::string& root = "");

}  // namespace corral

#endif  // CORRAL_KERNEL_BPF_SCHED_EXT_STATE_H_
