// SPDX-License-Identifier: Apache-2.0
// Which came first: a vCPU in the class, or the guest's first instruction. Both as the kernel and
// QEMU stamp them, in time since boot. In the test host, as root.
#ifndef CORRAL_TESTS_LIBVIRT_ATTACH_TRACE_H_
#define CORRAL_TESTS_LIBVIRT_ATTACH_TRACE_H_

#include <sys/types.h>

#include <map>
#include <string>

#include "kernel/types.h"
#include "tests/libvirt/virsh_shell.h"

namespace corral {

// When threads were put into the class, from its making on; one at a time.
class AttachTrace {
 public:
  AttachTrace();
  ~AttachTrace();
  AttachTrace(const AttachTrace&) = delete;

  // By thread; the end of the call that did it.
  std::map<pid_t, Duration> Times() const;
};

// When the next VM's QEMU is told to continue, by its own clock: it stamps the event before it lets
// the vCPUs go. A virsh of its own listens from the construction on.
class ResumeEvent {
 public:
  ResumeEvent();
  // Waits for it.
  Duration Time();

 private:
  VirshShell events_;
};

// By how long the last of a VM's vCPUs was in the class before QEMU let it go; negative: it ran
// outside. A thread that was never put into the class fails the test.
Duration HeadStart(const AttachTrace& trace, ResumeEvent& resume, const std::string& vm);

}  // namespace corral

#endif  // CORRAL_TESTS_LIBVIRT_ATTACH_TRACE_H_
