// SPDX-License-Identifier: Apache-2.0
// A process that stands for a VM: some of its threads spin, others sleep and wake for ever. It dies
// with the thread that started it. Used from that thread.
#ifndef CORRAL_AGENT_SELFTEST_VM_PROCESS_H_
#define CORRAL_AGENT_SELFTEST_VM_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "kernel/types.h"

namespace corral {

class VmProcess {
 public:
  // Starts the process; its threads exist and run when the constructor returns. What the spinners
  // do all the time may be something else than a calculation.
  VmProcess(int spinners, int sleepers, const std::function<void()>& work = Calculate);
  VmProcess(const VmProcess&) = delete;
  ~VmProcess();  // kills it

  // Why there is no process, or not with all of its threads; then there are no tids.
  const absl::Status& status() const { return status_; }
  pid_t pid() const { return pid_; }
  const std::vector<pid_t>& tids() const { return tids_; }  // spinners first
  int spinners() const { return spinners_; }
  void Kill();  // returns when none of its threads runs any more

 private:
  static void Calculate();

  pid_t pid_ = -1;
  int spinners_ = 0;
  std::vector<pid_t> tids_;
  absl::Status status_;
};

// CPU time that a thread has had, from /proc; 0 if it is gone.
Duration CpuTime(pid_t tid);

}  // namespace corral

#endif  // CORRAL_AGENT_SELFTEST_VM_PROCESS_H_
