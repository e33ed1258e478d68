// SPDX-License-Identifier: Apache-2.0
// A process that stands for a VM in tests of the class: some of its threads spin, others sleep and
// wake for ever.
#ifndef CORRAL_TESTS_CLASS_VM_PROCESS_H_
#define CORRAL_TESTS_CLASS_VM_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <vector>

#include "kernel/types.h"

namespace corral {

class VmProcess {
 public:
  // Starts the process; its threads exist and run when the constructor returns. What the spinners
  // do all the time may be something else than a calculation.
  VmProcess(int spinners, int sleepers, const std::function<void()>& work = Calculate);
  VmProcess(const VmProcess&) = delete;
  ~VmProcess();  // kills it

  pid_t pid() const { return pid_; }
  const std::vector<pid_t>& tids() const { return tids_; }  // spinners first
  int spinners() const { return spinners_; }
  void Kill();  // returns when none of its threads runs any more

 private:
  static void Calculate();

  pid_t pid_ = -1;
  int spinners_ = 0;
  std::vector<pid_t> tids_;
};

// CPU time that a thread has had, from /proc; 0 if it is gone.
Duration CpuTime(pid_t tid);

}  // namespace corral

#endif  // CORRAL_TESTS_CLASS_VM_PROCESS_H_
